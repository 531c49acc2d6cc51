/** What a setting is changed with, one for each kind. */
import React, { useState } from "react";
import { Button, Form, InputGroup } from "react-bootstrap";
import type { Shapes } from "../stash/calls";
import { listed } from "./check";
import { defaultWords, type Row, switchedOn, type Value } from "./form";
import { nearest, stops } from "./stops";

type ModelRow = Shapes["ModelRow"];

export interface ControlProps {
  id: string;
  /** The id of what explains it. */
  explained: string;
  row: Row;
  value: Value | string;
  isRefused: boolean;
  models: readonly ModelRow[] | undefined;
  /** Change it: at once, or once nothing is typed any more. */
  put(value: Value | undefined, when: "now" | "later"): void;
  /** Save what was typed. */
  flush(): void;
}

export function Control(props: ControlProps) {
  switch (props.row.kind) {
    case "switch":
      return <Switch {...props} />;
    case "number":
      return <NumberField {...props} />;
    case "choice":
      return <Choice {...props} />;
    case "list":
      return <List {...props} />;
    case "model":
      return props.models === undefined ? <Text {...props} /> : <Model {...props} />;
    default:
      return <Text {...props} />;
  }
}

function Switch({ id, explained, row, value, put }: ControlProps) {
  const isOn = switchedOn(row, value);
  return (
    <Form.Switch
      id={id}
      label=""
      aria-describedby={explained}
      checked={isOn}
      onChange={() => put(!value, "now")}
    />
  );
}

/** Typed as text, so that what is no number can be refused in words. */
function Text({ id, explained, row, value, isRefused, put, flush }: ControlProps) {
  return (
    <Form.Control
      id={id}
      className="text-input"
      aria-describedby={explained}
      isInvalid={isRefused}
      placeholder={defaultWords(row)}
      value={String(value)}
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => put(event.target.value, "later")}
      onBlur={flush}
      onKeyDown={(event: React.KeyboardEvent) => {
        if (event.key === "Enter") flush();
      }}
    />
  );
}

function NumberField({ id, explained, row, value, isRefused, put, flush }: ControlProps) {
  const all = stops(row);
  const number = Number(value) || Number(row.default);
  return (
    <div className="sense-number">
      <Form.Control
        type="range"
        custom
        aria-label={`${row.name}, slider`}
        aria-valuetext={number === 0 ? defaultWords(row) : `${number} ${row.unit}`}
        min={0}
        max={all.length - 1}
        value={nearest(all, number)}
        onChange={(event) => put(all[Number(event.target.value)], "later")}
        onBlur={flush}
        onPointerUp={flush}
      />
      <Form.Control
        id={id}
        className="text-input"
        aria-describedby={explained}
        inputMode="numeric"
        isInvalid={isRefused}
        placeholder={row.default === 0 ? "" : String(row.default)}
        value={value === 0 ? "" : String(value)}
        autoComplete="off"
        onChange={(event) => put(event.target.value, "later")}
        onBlur={flush}
        onKeyDown={(event: React.KeyboardEvent) => {
          if (event.key === "Enter") flush();
        }}
      />
      <span>{row.unit}</span>
    </div>
  );
}

function Choice({ id, explained, row, value, put }: ControlProps) {
  return (
    <Form.Control
      id={id}
      as="select"
      className="input-control"
      aria-describedby={explained}
      value={String(value)}
      onChange={(event) =>
        put(event.target.value === row.default ? undefined : event.target.value, "now")
      }
    >
      {row.choices?.map(({ word, says }) => (
        <option key={word} value={word}>
          {word}: {says.charAt(0).toLowerCase() + says.slice(1)}
        </option>
      ))}
    </Form.Control>
  );
}

/** What models are for, in the words of the plugin's own list. */
const FOR_WHAT: Record<string, string> = {
  clip: "Scenes as a whole, by words",
  tagger: "Acts, clothing and bodies",
  objects: "Things with their places",
  classifier: "Kinds of picture",
  similarity: "How alike pictures are",
  text: "Text in other languages",
};

function size(model: ModelRow): string {
  if (model.megabytes === null) return "";
  return model.megabytes < 1000
    ? `, ${Math.max(1, Math.round(model.megabytes))} MB`
    : `, ${(model.megabytes / 1000).toFixed(1)} GB`;
}

/** Say of a model what one chooses by. */
export function modelWords(model: ModelRow): string {
  const language = model.language ? ` (${model.language})` : "";
  return `${model.name}${language}: ${model.licence}${size(model)}${model.here ? "" : ", not here yet"}`;
}

function Model({ id, explained, row, value, models = [], put }: ControlProps) {
  const tasks = row.tasks ?? [];
  const fitting = models.filter((model) => tasks.includes(model.task));
  const preset = fitting.find((model) => model.chosen.startsWith("the preset"));
  const isKnown = fitting.some((model) => model.name === value);
  const isOther = value !== "" && !isKnown && !(row.may_be_none && value === "none");
  return (
    <Form.Control
      id={id}
      as="select"
      className="input-control"
      aria-describedby={explained}
      value={String(value)}
      onChange={(event) => put(event.target.value || undefined, "now")}
    >
      <option value="">
        {defaultWords(row).split(",")[0]}
        {preset ? ` (${preset.name})` : ""}
      </option>
      {row.may_be_none && <option value="none">none: do without</option>}
      {isOther && <option value={String(value)}>{value}: not in the list of models</option>}
      {tasks.map((task) => (
        <optgroup key={task} label={FOR_WHAT[task] ?? task}>
          {fitting
            .filter((model) => model.task === task)
            .map((model) => (
              <option key={model.name} value={model.name}>
                {modelWords(model)}
              </option>
            ))}
        </optgroup>
      ))}
    </Form.Control>
  );
}

/** What may well be meant in a list. */
function offered(row: Row, models: readonly ModelRow[], names: readonly string[]): string[] {
  const all =
    row.key === "accept_licences"
      ? models.filter((model) => !model.commercial).map((model) => model.licence)
      : models.filter((model) => row.tasks?.includes(model.task)).map((model) => model.name);
  return [...new Set(all)].filter((name) => !names.includes(name));
}

function List({ id, explained, row, value, isRefused, models = [], put, flush }: ControlProps) {
  const [typed, setTyped] = useState("");
  const names = listed(String(value));
  const choices = offered(row, models, names);
  const keep = (all: readonly string[]) => put([...new Set(all)].join(", ") || undefined, "now");
  const add = (text = typed) => {
    setTyped("");
    if (listed(text).length > 0) keep([...names, ...listed(text)]);
    else flush();
  };
  // A field of one line would join the lines of what is pasted.
  const paste = (event: React.ClipboardEvent) => {
    const text = event.clipboardData.getData("text");
    if (!/[,\r\n]/.test(text)) return;
    event.preventDefault();
    add(typed + text);
  };
  return (
    <div className="sense-list">
      {names.length > 0 && (
        <ul className="list-unstyled">
          {names.map((name) => (
            <li key={name} className="tag-item badge badge-secondary">
              <span>{name}</span>
              <Button
                variant="secondary"
                aria-label={`Take ${name} away`}
                onClick={() => keep(names.filter((each) => each !== name))}
              >
                <span aria-hidden="true">×</span>
              </Button>
            </li>
          ))}
        </ul>
      )}
      <InputGroup size="sm">
        <Form.Control
          id={id}
          className="text-input"
          aria-describedby={explained}
          isInvalid={isRefused}
          placeholder="Add a name"
          list={choices.length > 0 ? `${id}-offered` : undefined}
          value={typed}
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => setTyped(event.target.value)}
          onBlur={() => add()}
          onPaste={paste}
          onKeyDown={(event: React.KeyboardEvent) => {
            if (event.key !== "Enter" && event.key !== ",") return;
            event.preventDefault();
            add();
          }}
        />
        <InputGroup.Append>
          <Button variant="secondary" onClick={() => add()} disabled={listed(typed).length === 0}>
            Add
          </Button>
        </InputGroup.Append>
      </InputGroup>
      {choices.length > 0 && (
        <datalist id={`${id}-offered`}>
          {choices.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      )}
    </div>
  );
}
