/** The models that can look: what each is for, whether it is here, and how it comes and goes. */
import React, { useRef, useState } from "react";
import { Button } from "react-bootstrap";
import { useFocusKept } from "../parts/focus";
import { modelName } from "../parts/why";
import type { SenseError, Shapes } from "../stash/calls";
import { Card } from "./Card";
import { useTold } from "./Desk";
import { ModelItem } from "./ModelItem";
import { listed } from "./outcome";
import { Progress } from "./Progress";
import { useTask } from "./useTask";
import { capital, counted, megabytes, sentence } from "./words";

type Model = Shapes["ModelRow"];

/** What the models of a task are for, in the order in which they are told. */
const FOR_WHAT: Record<string, string> = {
  clip: "Scenes as a whole, by words",
  tagger: "Acts, clothing and bodies",
  objects: "Things with their places in the picture",
  classifier: "Kinds of picture",
  similarity: "How alike pictures are",
  text: "Text in other languages",
};

export function ModelsCard() {
  const asking = useTold("models", {});
  return (
    <Card title="Models" name="models" asking={asking} wide lines={6}>
      {(told) => <Models told={told} />}
    </Card>
  );
}

function Models({ told }: { told: Shapes["ModelsTold"] }) {
  const tasks = [...new Set(told.models.map((model) => model.task))];
  return (
    <>
      <p>
        Preset <strong>{told.preset}</strong>: {sentence(told.why)}
      </p>
      {told.complaints?.map((complaint) => (
        <p key={complaint} className="text-warning sense-dash-break">
          {complaint}
        </p>
      ))}
      <Missing models={told.models.filter((model) => model.chosen && !model.here)} />
      {tasks.map((task) => (
        <Group
          key={task}
          title={FOR_WHAT[task] ?? capital(task)}
          models={told.models.filter((model) => model.task === task)}
        />
      ))}
    </>
  );
}

/** What the settings want and is not here: one button fetches all of it. */
function Missing({ models }: { models: readonly Model[] }) {
  const task = useTask("download_models", "Download models");
  const [refused, setRefused] = useState<SenseError>();
  const download = () => {
    setRefused(undefined);
    task.begin().catch((why: SenseError) => setRefused(why));
  };
  const size = sizeOf(models);
  const place = useRef<HTMLDivElement>(null);
  useFocusKept(place, () => place.current);
  if (models.length === 0 && !task.under_way && !task.result) return null;
  return (
    <div className="sense-dash-missing" ref={place} tabIndex={-1}>
      {models.length > 0 && (
        <p>
          {listed(models.map((model) => model.name))}{" "}
          {models.length === 1 ? "is wanted and not here" : "are wanted and not here"}: what only{" "}
          {models.length === 1 ? "it sees" : "they see"} is not found.
        </p>
      )}
      {task.under_way ? (
        <>
          <Progress share={task.share} label="Downloading models" />
          {task.waits && <p>It waits for its turn in Stash's queue.</p>}
        </>
      ) : (
        models.length > 0 && (
          <Button size="sm" onClick={download}>
            Download {models.length === 1 ? "it" : "them"}
            {size && ` (${size})`}
          </Button>
        )
      )}
      {refused && (
        <p className="text-danger" role="alert">
          {refused.message}
        </p>
      )}
      {task.result && (
        <p className={task.failed ? "text-danger" : ""} role={task.failed ? "alert" : undefined}>
          {task.result}
        </p>
      )}
    </div>
  );
}

function sizeOf(models: readonly Model[]): string {
  const size = models.reduce((sum, model) => sum + (model.megabytes ?? 0), 0);
  if (size === 0) return "";
  return models.some((model) => model.megabytes === null)
    ? `${megabytes(size)} and more`
    : megabytes(size);
}

function Group({ title, models }: { title: string; models: readonly Model[] }) {
  const here = models.filter((model) => model.here).length;
  const chosen = models.filter((model) => model.chosen).map(({ name }) => modelName(name));
  return (
    <details className="sense-dash-fold">
      <summary>
        <h3>{title}</h3>
        <span className="text-muted">
          {counted(models.length, "model")}, {here} here
          {chosen.length > 0 ? `; chosen: ${listed(chosen)}` : ""}
        </span>
      </summary>
      <ul className="list-unstyled sense-dash-models">
        {models.map((model) => (
          <ModelItem key={model.name} model={model} />
        ))}
      </ul>
    </details>
  );
}
