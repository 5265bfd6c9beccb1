// Sound and vibration of the open page. Browsers allow them only after the first tap.
const TONES: [frequency: number, from: number][] = [
  [880, 0],
  [1175, 0.18],
  [880, 0.5],
  [1175, 0.68],
];
const TONE_S = 0.16;
const VOLUME = 0.25;
let sound: AudioContext | undefined;

export function ring(): void {
  if (!navigator.userActivation?.hasBeenActive) return;
  navigator.vibrate?.([250, 120, 250]);
  sound ??= new AudioContext();
  void sound.resume();
  for (const [frequency, from] of TONES) tone(sound, frequency, sound.currentTime + from);
}

function tone(context: AudioContext, frequency: number, at: number): void {
  const pitch = context.createOscillator();
  const volume = context.createGain();
  pitch.frequency.value = frequency;
  volume.gain.setValueAtTime(VOLUME, at);
  volume.gain.exponentialRampToValueAtTime(0.001, at + TONE_S);
  pitch.connect(volume).connect(context.destination);
  pitch.start(at);
  pitch.stop(at + TONE_S);
}
