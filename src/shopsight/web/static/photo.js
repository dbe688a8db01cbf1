// A photo as the query. It is kept for the session, so that Back and reload find it again.

import { el } from "./elements.js";

const MAX_SIDE = 1024; // pixels
const KEPT = 4; // photos of about 200 kB each
const PREFIX = "photo-";

// An upright JPEG of moderate size. Metadata such as the place where it was taken stays on the device.
async function reencode(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = el("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas.toDataURL("image/jpeg", 0.92);
}

function opened(id, dataUrl) {
  const bytes = Uint8Array.from(atob(dataUrl.split(",")[1]), (character) => character.charCodeAt(0));
  const blob = new Blob([bytes], { type: "image/jpeg" });
  return { id, blob, url: URL.createObjectURL(blob) };
}

// Throws if the browser cannot read the file as a photo.
export async function addPhoto(file) {
  const dataUrl = await reencode(file);
  const id = `${PREFIX}${Date.now()}`;
  try {
    const kept = Object.keys(sessionStorage).filter((key) => key.startsWith(PREFIX)).sort();
    kept.slice(0, Math.max(0, kept.length - KEPT + 1)).forEach((key) => sessionStorage.removeItem(key));
    sessionStorage.setItem(id, dataUrl);
  } catch { /* a full or forbidden storage: the photo lives as long as the page */ }
  return opened(id, dataUrl);
}

// The photo of an earlier history entry; null if it is gone.
export function findPhoto(id) {
  try {
    const dataUrl = id && sessionStorage.getItem(id);
    return dataUrl ? opened(id, dataUrl) : null;
  } catch { return null; }
}

export const releasePhoto = (photo) => photo && URL.revokeObjectURL(photo.url);
