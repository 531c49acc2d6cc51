/** The focus, which is lost with what had it unless somebody takes it on. */
import type React from "react";
import { useLayoutEffect } from "react";

/** Where what has the focus within `place` goes away, bring it to the heir. */
export function useFocusKept(
  place: React.RefObject<HTMLElement>,
  heir: () => HTMLElement | null | undefined,
): void {
  // Read while it is drawn: afterwards what had the focus is gone.
  const had = place.current?.contains(document.activeElement) ?? false;
  useLayoutEffect(() => {
    const has = document.activeElement;
    if (had && (has === null || has === document.body)) heir()?.focus();
  });
}
