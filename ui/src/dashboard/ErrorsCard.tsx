/** Scenes whose last look failed: why, what to do about it, and the way to try again. */
import React, { useState } from "react";
import { Confirm } from "../parts/Confirm";
import { Deed } from "../parts/Deed";
import { operate, type SenseError, type Shapes } from "../stash/calls";
import { Card } from "./Card";
import { useDesk, useTold } from "./Desk";
import { ErrorItem } from "./ErrorItem";
import { Pager, usePaging } from "./Pager";
import { useTask } from "./useTask";
import { counted } from "./words";

const PAGE = 10;
/** Rows of one call, where all are to be found. */
const MANY = 500;
/** A task names no more scenes than this. */
const MOST = 5000;

export function ErrorsCard() {
  const paging = usePaging();
  const asking = useTold("errors", { limit: PAGE, ...(paging.after && { after: paging.after }) });
  // A scene that failed no more leaves the list: what came of it stays.
  const [came, setCame] = useState("");
  const some = (asking.told?.errors.length ?? 0) > 0;
  return (
    <Card
      title="Errors"
      name="errors"
      asking={asking}
      wide
      actions={some && <TryAll tried={setCame} />}
    >
      {(told) => (
        <>
          {came && (
            <p tabIndex={-1} data-sense-came>
              {came}
            </p>
          )}
          {some || paging.page > 1 ? (
            <>
              <ul className="list-unstyled sense-dash-errors">
                {told.errors.map((row) => (
                  <ErrorItem key={row.scene_id} row={row} tried={setCame} />
                ))}
              </ul>
              <Pager paging={paging} next={told.next} what="errors" />
            </>
          ) : (
            <p className="text-muted">No scene failed.</p>
          )}
        </>
      )}
    </Card>
  );
}

function TryAll({ tried }: { tried(came: string): void }) {
  const { say } = useDesk();
  const [ids, setIds] = useState<readonly string[]>();
  const [looking, setLooking] = useState(false);
  const [failed, setFailed] = useState<SenseError>();
  const task = useTask("tag_scenes", "Try all again", ({ result }) =>
    tried(`All tried again: ${result}`),
  );
  const look = async () => {
    setLooking(true);
    setFailed(undefined);
    try {
      setIds(await all_failed());
    } catch (why) {
      setFailed(why as SenseError);
    }
    setLooking(false);
  };
  return (
    <>
      {failed && (
        <span className="text-danger" role="alert">
          {failed.message}
        </span>
      )}
      <Deed size="sm" variant="secondary" busy={looking || task.under_way} does={() => void look()}>
        {task.under_way ? "Under way" : "Try all again"}
      </Deed>
      {ids !== undefined && (
        <Confirm
          title={`Look at ${counted(ids.length, "scene")} again?`}
          yes="Try again"
          does={async () => {
            await task.begin({ ids: ids.slice(0, MOST) });
            say(`Try all again is in Stash's queue`);
          }}
          close={() => setIds(undefined)}
        >
          <p className="mb-0">
            {ids.length > MOST
              ? `The newest ${counted(MOST, "of them", "of them")} at first: `
              : ""}
            It waits its turn in Stash's queue. A scene whose file is still as it was fails again,
            and says why.
          </p>
        </Confirm>
      )}
    </>
  );
}

async function all_failed(): Promise<string[]> {
  const found: Shapes["ErrorRow"][] = [];
  let after: string | null = null;
  do {
    const page: Shapes["ErrorsTold"] = await operate("errors", {
      limit: MANY,
      ...(after && { after }),
    });
    found.push(...page.errors);
    after = page.next;
  } while (after !== null && found.length <= MOST);
  return found.map((row) => row.scene_id);
}
