/** Which models run, and why: what a preset comes to on this machine. */
import React from "react";
import { Link } from "react-router-dom";
import { ROUTE } from "../pages/route";
import type { SenseError, Shapes } from "../stash/calls";
import { modelWords } from "./controls";
import { ROWS } from "./form";

type ModelRow = Shapes["ModelRow"];

interface Props {
  told: Shapes["ModelsTold"] | undefined;
  error: SenseError | undefined;
  again(): void;
}

export function Running({ told, error, again }: Props) {
  if (told === undefined) {
    return (
      <p className="sense-settings-note" role="status">
        {error === undefined
          ? "Asking which models there are…"
          : `The list of models cannot be had now (${error.message}). Everything can be set all the same; models go by their names. `}
        {error && (
          <button type="button" className="btn btn-sm btn-secondary" onClick={again}>
            Ask again
          </button>
        )}
      </p>
    );
  }
  const runs = told.models.filter((model) => model.chosen !== "");
  const isMissing = runs.some((model) => !model.here);
  return (
    <div className="sense-settings-note">
      <p>
        Now in use: <strong>{told.preset}</strong>. {sentence(told.why)}
      </p>
      <ul>
        {runs.map((model) => (
          <li key={model.name}>
            {modelWords(model)}
            <span className="sense-settings-about">
              {model.about}. {chosenBy(model.chosen)}
            </span>
          </li>
        ))}
        {runs.length === 0 && <li>No model runs: what needs one is switched off.</li>}
      </ul>
      {isMissing && (
        <p>
          Not all of it is here yet:{" "}
          <Link to={`${ROUTE}/dashboard`}>download it on the dashboard</Link>.
        </p>
      )}
    </div>
  );
}

function chosenBy(chosen: string): string {
  if (chosen === "always") return "It comes with Set up.";
  const row = ROWS.find((each) => chosen === `the setting ${each.key}`);
  return row ? `Chosen by your setting "${row.name}".` : `Chosen by ${chosen}.`;
}

/** What one wants to know of the model that a setting names. */
export function ModelNote({ name, models }: { name: string; models: readonly ModelRow[] }) {
  const model = models.find((each) => each.name === name);
  if (model === undefined) return null;
  return (
    <p className="sense-setting-model">
      {model.about}. Licence: {model.licence}
      {model.commercial ? "" : ", which does not allow every use"}.
      {model.lacks && ` It cannot run here: ${model.lacks}.`}
      {!model.here && (
        <>
          {" "}
          Not here yet: <Link to={`${ROUTE}/dashboard`}>download it on the dashboard</Link>.
        </>
      )}
    </p>
  );
}

function sentence(text: string): string {
  const told = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(told) ? told : `${told}.`;
}
