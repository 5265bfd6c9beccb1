/* Puts the wall clock of one process elsewhere: by as many seconds as a file says at the moment. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *by;

__attribute__((constructor)) static void begin(void) {
  const char *name = getenv("SHIFT_FILE");
  int file = name ? open(name, O_RDONLY) : -1;
  void *seen = file < 0 ? MAP_FAILED : mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
  if (seen != MAP_FAILED) by = seen;
  if (file >= 0) close(file);
}

int gettimeofday(struct timeval *tv, void *tz) {
  static int (*real)(struct timeval *, void *);
  if (!real) real = (int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday");
  int failed = real(tv, tz);
  if (!failed && by) tv->tv_sec += *by;
  return failed;
}

int clock_gettime(clockid_t which, struct timespec *ts) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int failed = real(which, ts);
  if (!failed && by && which == CLOCK_REALTIME) ts->tv_sec += *by;
  return failed;
}

time_t time(time_t *at) {
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  if (at) *at = ts.tv_sec;
  return ts.tv_sec;
}
