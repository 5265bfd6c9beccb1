// The appointment as a calendar file (RFC 5545): a constant UID, so that a later one replaces it.
import type { Job } from './job.svelte';

const LINE_BYTES = 73;

export function calendar(job: Job, summary: string): string {
  const met = job.appointment;
  if (!met) return '';
  const lines = [
    'BEGIN:VCALENDAR',
    'VERSION:2.0',
    'PRODID:-//tekkie//appointments//EN',
    'METHOD:PUBLISH',
    'BEGIN:VEVENT',
    `UID:${job.id}`,
    `SEQUENCE:${met.revision}`,
    `DTSTAMP:${stamp(job.server_time)}`,
    `DTSTART:${stamp(met.starts_at)}`,
    `DTEND:${stamp(met.ends_at)}`,
    `SUMMARY:${summary.replace(/([\\,;])/g, '\\$1')}`,
    'STATUS:CONFIRMED',
    'END:VEVENT',
    'END:VCALENDAR',
  ];
  return lines.map(folded).join('\r\n') + '\r\n';
}

function stamp(at: string): string {
  return new Date(at).toISOString().replace(/[-:]|\.\d{3}/g, '');
}

/** Folds a line at 75 bytes; a continuation begins with a space. */
function folded(line: string): string {
  const parts: string[] = [];
  let part = '';
  for (const letter of line) {
    if (new TextEncoder().encode(part + letter).length > LINE_BYTES) {
      parts.push(part);
      part = '';
    }
    part += letter;
  }
  return [...parts, part].join('\r\n ');
}
