/** The focus, which is lost with what had it unless somebody takes it on. */
import type React from "react";
import { useLayoutEffect, useRef } from "react";

/** Where what has the focus within `place` goes away, bring it to the heir; from there it goes on to
 * what is better as soon as that is there, unless it was moved meanwhile. */
export function useFocusKept(
  place: React.RefObject<HTMLElement>,
  heir: () => HTMLElement | null | undefined,
  better: () => HTMLElement | null | undefined = () => undefined,
): void {
  const lent = useRef<Element | null>(null);
  // Read while it is drawn: afterwards what had the focus is gone.
  const had = place.current?.contains(document.activeElement) ?? false;
  useLayoutEffect(() => {
    const has = document.activeElement;
    const lost = had && (has === null || has === document.body);
    if (!lost && (has === null || has !== lent.current)) {
      lent.current = null;
      return;
    }
    const best = better();
    if (best) best.focus();
    else if (lost) heir()?.focus();
    lent.current = best ? null : document.activeElement;
  });
}
