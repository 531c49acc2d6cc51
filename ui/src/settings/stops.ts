/** Where a slider stops: every number of a short range, round numbers of a long one. */
import type { Row } from "./form";

const ROUND = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
const LONG = 100;

/** Return the stops, the least first; 0 before them where only it means the default. */
export function stops(row: Row): number[] {
  const { least = 0, most = 0 } = row;
  const base = Number(row.default);
  if (most / least <= LONG) {
    const all = Array.from({ length: most - least + 1 }, (_, index) => least + index);
    return base === 0 ? [0, ...all] : all;
  }
  const found = new Set([least, most, base]);
  for (let power = 1; power <= most; power *= 10) {
    for (const each of ROUND) {
      const stop = each * power;
      if (Number.isInteger(stop) && stop > least && stop < most) found.add(stop);
    }
  }
  return [...found].sort((one, other) => one - other);
}

/** Return which stop is the nearest to a number. */
export function nearest(all: readonly number[], value: number): number {
  let best = 0;
  all.forEach((stop, index) => {
    if (Math.abs(stop - value) < Math.abs((all[best] ?? 0) - value)) best = index;
  });
  return best;
}
