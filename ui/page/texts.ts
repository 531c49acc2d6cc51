/** Values as the page shows them. */
import type { Scene } from "./documents";

export function titleOf(scene: Scene): string {
  return scene.title || scene.files[0]?.basename || `Scene ${scene.id}`;
}

export function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 60) % 60, whole % 60];
  const hours = Math.floor(whole / 3600);
  const [first, ...others] = hours > 0 ? [hours, ...parts] : parts;
  return [String(first), ...others.map((part) => String(part).padStart(2, "0"))].join(":");
}

export function resolution(width: number, height: number): string {
  return `${Math.min(width, height)}p`;
}
