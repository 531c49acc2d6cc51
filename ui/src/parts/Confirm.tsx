/** Asks before something is done that is not done by mistake. */
import React, { useState } from "react";
import { Button, Modal } from "react-bootstrap";
import type { SenseError } from "../stash/calls";

interface Props {
  title: string;
  /** What the button that does it says. */
  yes: string;
  /** What the button says that leaves all as it is. */
  no?: string;
  danger?: boolean;
  /** Whether it may be done now. */
  ready?: boolean;
  /** Closes the dialog where it succeeds; what it throws is shown in it. */
  does(): Promise<unknown>;
  close(): void;
  children: React.ReactNode;
}

export function Confirm(props: Props) {
  const { title, yes, no = "Cancel", danger, ready = true, does, close, children } = props;
  const [under_way, setUnderWay] = useState(false);
  const [failed, setFailed] = useState<SenseError>();
  const act = async (event: React.FormEvent) => {
    event.preventDefault();
    if (!ready || under_way) return;
    setUnderWay(true);
    setFailed(undefined);
    try {
      await does();
      close();
    } catch (why) {
      setFailed(why as SenseError);
      setUnderWay(false);
    }
  };
  return (
    <Modal show className="sense-dialog" onHide={close} aria-labelledby="sense-confirm-title">
      <form onSubmit={act}>
        <Modal.Header>
          <Modal.Title as="h2" id="sense-confirm-title" className="h5">
            {title}
          </Modal.Title>
        </Modal.Header>
        <Modal.Body>
          {children}
          {failed && (
            <p className="text-danger mb-0" role="alert">
              {failed.message}
            </p>
          )}
        </Modal.Body>
        <Modal.Footer>
          <Button variant="secondary" onClick={close}>
            {no}
          </Button>
          <Button
            type="submit"
            variant={danger ? "danger" : "primary"}
            disabled={!ready || under_way}
          >
            {yes}
          </Button>
        </Modal.Footer>
      </form>
    </Modal>
  );
}
