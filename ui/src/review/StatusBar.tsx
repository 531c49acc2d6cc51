/** What happened last, what is on its way, and what could not be done. */
import React from "react";
import { Alert, Button } from "react-bootstrap";
import { many } from "../parts/words";
import type { View } from "./address";
import type { Answers } from "./answers";

interface Props {
  answers: Answers;
  told: string;
  undo(): void;
  by: View;
}

export function StatusBar({ answers, told, undo, by }: Props) {
  return (
    <div className="sense-review-bottom">
      <Held answers={answers} />
      <Notes answers={answers} />
      <div className="sense-review-status">
        <Button
          size="sm"
          variant="secondary"
          disabled={!answers.canUndo}
          onClick={(event) => {
            undo();
            // Who works by the keyboard may press it again; a click lets the list go on.
            if (event.detail > 0 || !answers.canUndo) event.currentTarget.blur();
          }}
          aria-keyshortcuts="u"
        >
          Undo
        </Button>
        <span className="sense-review-told" role="status">
          {told}
        </span>
        <span className="sense-review-sent text-muted">
          {answers.unsent > 0 ? `Saving ${answers.unsent.toLocaleString("en-US")}…` : ""}
        </span>
        <Keys by={by} />
      </div>
    </div>
  );
}

/** Nothing can be sent at the moment; what was said is kept here and sent again. */
function Held({ answers }: { answers: Answers }) {
  if (!answers.error) return null;
  return (
    <Alert variant="danger" className="sense-review-held">
      <span>
        {many(answers.unsent, "answer")} could not be saved yet: {answers.error.message}
      </span>{" "}
      <Button size="sm" variant="secondary" onClick={() => answers.flush()}>
        Try again
      </Button>{" "}
      <Button size="sm" variant="secondary" onClick={() => answers.drop()}>
        Forget them
      </Button>
    </Alert>
  );
}

function Notes({ answers }: { answers: Answers }) {
  const failed = answers.reasons.size;
  if (failed + answers.notes.length === 0) return null;
  return (
    <Alert variant="warning" className="sense-review-notes">
      {failed > 0 && (
        <p className="mb-0">
          {many(failed, "answer")} could not be carried out: {failed === 1 ? "it is" : "they are"}{" "}
          back in the list with the reason.
        </p>
      )}
      {answers.notes.map((note) => (
        <p key={note} className="mb-0">
          {note}
        </p>
      ))}
      <Button size="sm" variant="secondary" onClick={() => answers.dismiss()}>
        Dismiss
      </Button>
    </Alert>
  );
}

const ANSWER_KEYS = [
  ["a", "accept"],
  ["r", "refuse"],
] as const;

const SCENE_KEYS = [["A / R", "all of the scene"]] as const;

const NAME_KEYS = [
  ["n", "next name"],
  ["/", "filter names"],
] as const;

function Keys({ by }: { by: View }) {
  const keys = [
    ["j / k", "next, previous"],
    ...(by === "refused" ? [["t", "take back"] as const] : ANSWER_KEYS),
    ...(by === "scene" ? SCENE_KEYS : []),
    ["u", "undo"],
    ["o", "open the scene"],
    ["← / →", "frames, ranges, buttons of a row"],
    ["Enter", "open the scene there"],
    ...(by === "tag" ? NAME_KEYS : []),
  ] as const;
  return (
    <details className="sense-review-keys">
      <summary>Keys</summary>
      <dl className="card">
        {keys.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
