/** One model: what is to be known of it before it is chosen, fetched or removed. */
import React, { useRef, useState } from "react";
import { Badge } from "react-bootstrap";
import { Confirm } from "../parts/Confirm";
import { Deed } from "../parts/Deed";
import { useFocusKept } from "../parts/focus";
import { modelName } from "../parts/why";
import type { SenseError, Shapes } from "../stash/calls";
import { LicenceDialog } from "./LicenceDialog";
import { Progress } from "./Progress";
import { Published } from "./Published";
import { useTask } from "./useTask";
import { capital, megabytes, sentence } from "./words";

type Model = Shapes["ModelRow"];
type Dialog = "licence" | "remove";

/** How the model is chosen that comes inside a package and cannot be removed. */
const ALWAYS = "always";

export function ModelItem({ model }: { model: Model }) {
  const pull = useTask("pull_models", `Download ${model.name}`);
  const removal = useTask("remove_models", `Remove ${model.name}`);
  const [dialog, setDialog] = useState<Dialog>();
  const [failed, setFailed] = useState<SenseError>();
  const place = useRef<HTMLLIElement>(null);
  // Where it comes, Download goes; where it leaves, Remove.
  useFocusKept(place, () => place.current?.querySelector("button"));
  const names = { names: [model.name] };
  const download = async () => {
    setFailed(undefined);
    try {
      await pull.begin(names);
    } catch (why) {
      setFailed(why as SenseError);
    }
  };
  const mustAccept = !model.commercial && !model.accepted;
  const busy = pull.under_way || removal.under_way;
  const close = () => setDialog(undefined);
  return (
    <li className="sense-dash-model" ref={place}>
      <div className="sense-dash-model-head">
        <Name name={model.name} />
        <Marks model={model} />
        {model.here ? (
          model.chosen !== ALWAYS && (
            <Deed
              // Never the button of Download: Enter that is held must not press this one.
              key="remove"
              size="sm"
              variant="secondary"
              busy={busy}
              aria-label={`Remove ${model.name}`}
              does={() => setDialog("remove")}
            >
              Remove
            </Deed>
          )
        ) : (
          <Deed
            key="download"
            size="sm"
            variant="secondary"
            busy={busy}
            aria-label={`Download ${model.name}`}
            does={() => (mustAccept ? setDialog("licence") : void download())}
          >
            {model.disk_megabytes > 0 ? "Go on" : "Download"}
          </Deed>
        )}
      </div>
      <p className="sense-dash-break">
        {sentence(model.about)}{" "}
        {model.page && <Published model={model}>Its publisher's page</Published>}
      </p>
      <p className="text-muted sense-dash-break">{facts(model).join("; ")}</p>
      {pull.under_way && (
        <>
          <Progress share={pull.share} label={`Downloading ${model.name}`} />
          {pull.waits && <p className="text-muted">It waits for its turn in Stash's queue.</p>}
        </>
      )}
      {[pull, removal].map(
        (task, place) =>
          task.result && (
            <p
              key={place === 0 ? "pull" : "removal"}
              className={task.failed ? "text-danger" : ""}
              role={task.failed ? "alert" : undefined}
            >
              {task.result}
            </p>
          ),
      )}
      {failed && (
        <p className="text-danger" role="alert">
          {failed.message}
        </p>
      )}
      {dialog === "licence" && (
        <LicenceDialog
          model={model}
          accept={(licence) => pull.begin({ ...names, accept: licence })}
          close={close}
        />
      )}
      {dialog === "remove" && (
        <Confirm
          title={`Remove ${model.name}?`}
          yes="Remove"
          danger
          does={() => removal.begin(names)}
          close={close}
        >
          <p className="mb-0">
            {megabytes(model.disk_megabytes)} become free. What it saw is kept.
            {model.chosen &&
              ` It is chosen (${model.chosen}): scenes that are tagged meanwhile lack it.`}
          </p>
        </Confirm>
      )}
    </li>
  );
}

/** As its makers write it, with what the settings call it. */
function Name({ name }: { name: string }) {
  const made = modelName(name);
  return (
    <>
      <span className="sense-dash-model-name">{made}</span>
      {made !== name && <span className="text-muted sense-dash-break">{name}</span>}
    </>
  );
}

function Marks({ model }: { model: Model }) {
  return (
    <>
      {model.chosen && <Badge variant="primary">chosen: {model.chosen}</Badge>}
      <Badge variant={model.here ? "success" : "secondary"}>
        {model.here ? "here" : model.disk_megabytes > 0 ? "in part here" : "not here"}
      </Badge>
      {model.untried && (
        <Badge
          variant="warning"
          title="None of its makers' weights was run by who made Stash Sense: it checks itself at first use"
        >
          untried
        </Badge>
      )}
      {model.own && <Badge variant="info">your own</Badge>}
    </>
  );
}

function facts(model: Model): string[] {
  const runs = [...new Set(model.runs.map((run) => `${run.device} in ${run.precision}`))];
  return [
    size(model),
    `licence ${model.licence}${terms(model)}`,
    runs.length > 0 ? `runs now on ${runs.join(", ")}` : "",
    model.lacks,
    model.suits === "gpu" ? "wants a graphics card" : "",
    model.made && !model.here ? "is made here with the extras" : "",
    model.lighter.length > 0 ? `${model.lighter.join(" and ")} made` : "",
    model.language ? `reads ${model.language}` : "",
    model.presets.length > 0 ? `of the preset ${model.presets.join(", ")}` : "",
  ].filter(Boolean);
}

function size({ here, megabytes: whole, disk_megabytes: disk }: Model): string {
  if (whole === null) return disk > 0 ? `${megabytes(disk)} on the disk` : "size not known";
  if (!here && disk > 0) return `${megabytes(disk)} of ${megabytes(whole)} are here`;
  return capital(megabytes(here && disk > 0 ? disk : whole));
}

function terms(model: Model): string {
  if (model.commercial) return "";
  return model.accepted ? " (not for every use; accepted by you)" : " (not for every use)";
}
