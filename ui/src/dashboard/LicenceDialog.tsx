/** A licence that does not allow every use is accepted by its name, before anything is fetched. */
import React, { useState } from "react";
import { Form } from "react-bootstrap";
import { Confirm } from "../parts/Confirm";
import type { Shapes } from "../stash/calls";
import { Published } from "./Published";

interface Props {
  model: Shapes["ModelRow"];
  accept(licence: string): Promise<unknown>;
  close(): void;
}

export function LicenceDialog({ model, accept, close }: Props) {
  const [typed, setTyped] = useState("");
  const { licence } = model;
  const right = typed.trim() === licence;
  return (
    <Confirm
      title={`The licence of ${model.name}`}
      yes="Accept and download"
      ready={right}
      does={() => accept(licence)}
      close={close}
    >
      <p>
        Its licence is <strong className="sense-dash-break">{licence}</strong>. It does not allow
        every use: some of them forbid any that earns money, some more. Read it{" "}
        <Published model={model}>where the model is published</Published>, and go on only where it
        allows what you do.
      </p>
      <Form.Group controlId="sense-dash-licence" className="mb-0">
        <Form.Label>Type the licence's name to accept it</Form.Label>
        <Form.Control
          className="text-input"
          autoComplete="off"
          spellCheck={false}
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
          aria-describedby="sense-dash-licence-holds"
        />
        <Form.Text id="sense-dash-licence-holds" className="text-muted">
          It holds for every model under this licence.
        </Form.Text>
      </Form.Group>
    </Confirm>
  );
}
