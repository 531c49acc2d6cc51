/** The page's own keyboard shortcuts, on the document as Stash has them. */
import Mousetrap from "mousetrap";
import { useEffect } from "react";

export function useKeys(keys: Record<string, () => void>): void {
  useEffect(() => {
    for (const [key, act] of Object.entries(keys)) Mousetrap.bind(key, act);
    return () => {
      for (const key of Object.keys(keys)) Mousetrap.unbind(key);
    };
  });
}
