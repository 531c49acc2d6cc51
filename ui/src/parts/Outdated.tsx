/** Says so where Stash has another version of the plugin than this page runs. */
import React, { useEffect, useState } from "react";
import { Button } from "react-bootstrap";
import { FORM } from "../settings/form";
import { installedVersion } from "../stash/calls";

/** The version of these pages. */
export const VERSION = FORM.version;

/** Return the version that Stash has where it is not the one of these pages. */
export function useOtherVersion(): string | undefined {
  const [other, setOther] = useState<string>();
  useEffect(() => {
    let isGone = false;
    const ask = () =>
      void installedVersion().then((found) => {
        if (!isGone && found !== undefined) setOther(found === VERSION ? undefined : found);
      });
    ask();
    window.addEventListener("focus", ask);
    return () => {
      isGone = true;
      window.removeEventListener("focus", ask);
    };
  }, []);
  return other;
}

export function Outdated() {
  const other = useOtherVersion();
  if (other === undefined) return null;
  return (
    <div className="card sense-trouble sense-passes sense-outdated" role="status">
      <p>
        Stash has Stash Sense {other} now, and this page is still of {VERSION}.
      </p>
      <Button size="sm" variant="secondary" onClick={() => window.location.reload()}>
        Load the page anew
      </Button>
    </div>
  );
}
