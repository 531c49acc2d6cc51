/** The buttons that begin work on the whole library. */
import React, { useState } from "react";
import { Confirm } from "../parts/Confirm";
import { Deed } from "../parts/Deed";
import type { SenseError } from "../stash/calls";
import { taskOf, useDesk } from "./Desk";
import { counted, duration, number } from "./words";

type Overview = NonNullable<ReturnType<typeof useDesk>["overview"]["told"]>;

export function Begin() {
  const { overview, tasks, begin, say } = useDesk();
  const [asks, setAsks] = useState(false);
  const [failed, setFailed] = useState<SenseError>();
  const told = overview.told;
  const tagging = taskOf(tasks, "tag_scenes") !== undefined;
  const deciding = taskOf(tasks, "decide") !== undefined;
  const toDo = told?.scenes.to_do ?? undefined;
  const put = async (mode: string, name: string, args: Record<string, unknown> = {}) => {
    await begin(mode, name, args);
    say(`${name} is in Stash's queue`);
  };
  const at_once = async (mode: string, name: string) => {
    setFailed(undefined);
    try {
      await put(mode, name);
    } catch (why) {
      setFailed(why as SenseError);
    }
  };
  return (
    <>
      <Deed
        size="sm"
        busy={tagging || toDo === 0}
        title={toDo === 0 ? `No scene has the tag ${told?.workflow.to_do}` : undefined}
        does={() => at_once("tag_scenes", "Tag scenes")}
      >
        Tag all with {told?.workflow.to_do ?? "the to-do tag"}
        {toDo === undefined ? "" : ` (${number(toDo)})`}
      </Deed>
      <Deed
        size="sm"
        variant="secondary"
        busy={tagging || told?.scenes.in_stash === 0}
        does={() => setAsks(true)}
      >
        Tag the whole library
      </Deed>
      <Deed
        size="sm"
        variant="secondary"
        busy={deciding || told?.scenes.looked_at === 0}
        title="Applies changed settings, thresholds and answers to what was seen; no video is read"
        does={() => at_once("decide", "Decide again")}
      >
        Decide again
      </Deed>
      {failed && (
        <p className="text-danger mb-0" role="alert">
          {failed.message}
        </p>
      )}
      {asks && (
        <Confirm
          title="Tag the whole library?"
          yes="Tag them"
          does={() => put("tag_scenes", "Tag the whole library", { all: true })}
          close={() => setAsks(false)}
        >
          <WholeLibrary overview={told} />
        </Confirm>
      )}
    </>
  );
}

function WholeLibrary({ overview }: { overview: Overview | undefined }) {
  const scenes = overview?.scenes;
  const left = scenes?.in_stash == null ? undefined : scenes.in_stash - (scenes.tagged ?? 0);
  const tagged = overview?.workflow.tagged ?? "Tagged";
  const speed = overview?.speed;
  const each = speed && speed.scenes > 0 ? speed.seconds / speed.scenes : undefined;
  return (
    <>
      <p>
        {left === undefined
          ? `Every scene without the tag ${tagged} is looked at.`
          : `${counted(left, "scene")} of ${number(scenes?.in_stash ?? 0)} without the tag ${tagged} ${
              left === 1 ? "is" : "are"
            } looked at.`}
        {each !== undefined && left !== undefined && left > 0
          ? ` At the speed of the last ones that takes about ${duration(each * left)}.`
          : ""}
      </p>
      <p className="mb-0">
        It waits its turn in Stash's queue, lets other tasks go in between, can be stopped at any
        time, and goes on from there.
      </p>
    </>
  );
}
