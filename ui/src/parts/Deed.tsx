/** A button that keeps the focus while what it does is under way, when it cannot be pressed. */
import React from "react";
import { Button, type ButtonProps } from "react-bootstrap";

interface Props extends ButtonProps {
  busy: boolean;
  does(): void;
}

export const Deed = React.forwardRef<HTMLButtonElement, Props>(function Deed(
  { busy, does, className = "", ...rest },
  ref,
) {
  return (
    <Button
      {...rest}
      ref={ref}
      className={`${className}${busy ? " disabled" : ""}`}
      // What is disabled for good loses the focus, and with it the keys.
      aria-disabled={busy}
      onClick={() => !busy && does()}
    />
  );
});
