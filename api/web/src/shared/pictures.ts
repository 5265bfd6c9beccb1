// Pictures behind a sign-in: an <img> sends neither a token nor the face, so they are fetched.
import { face } from './api';

/** As large as the server keeps at most; more bytes would only take longer. */
const LONGEST = 2400;
const QUALITY = 0.9;

/** The address of a picture in this page, to be revoked; empty where it cannot be had. */
export async function pictureUrl(id: string, token?: string): Promise<string> {
  const headers = new Headers(
    token ? { Authorization: `Bearer ${token}` } : { 'Tekkie-Face': face() },
  );
  try {
    const response = await fetch(`/v1/files/${id}`, { headers });
    return response.ok ? URL.createObjectURL(await response.blob()) : '';
  } catch {
    return '';
  }
}

/** A file in base64: drawn anew and smaller where the browser can read it, else as it is. */
export async function encoded(file: File): Promise<string> {
  return base64(await smaller(file).catch(() => file));
}

async function smaller(file: File): Promise<Blob> {
  const bitmap = await createImageBitmap(file);
  const factor = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.round(bitmap.width * factor);
  canvas.height = Math.round(bitmap.height * factor);
  const context = canvas.getContext('2d');
  if (!context) return file;
  context.fillStyle = 'white';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const drawn = await new Promise<Blob | null>((done) =>
    canvas.toBlob(done, 'image/jpeg', QUALITY),
  );
  return drawn ?? file;
}

function base64(blob: Blob): Promise<string> {
  return new Promise((done, fail) => {
    const reader = new FileReader();
    reader.onload = () => done(String(reader.result).split(',', 2)[1] ?? '');
    reader.onerror = () => fail(new Error('the file cannot be read'));
    reader.readAsDataURL(blob);
  });
}
