/** All that waits for the user's word, across the library: by name or by scene, and what was refused. */
import React, { useEffect, useLayoutEffect, useRef, useState } from "react";
import { Nav } from "react-bootstrap";
import { Link, useHistory, useLocation } from "react-router-dom";
import { Trouble } from "../parts/Trouble";
import { many, nameOf } from "../parts/words";
import { stash } from "../stash/plugin_api";
import { AcceptAbove } from "./AcceptAbove";
import { addressOf, type Place, placeOf, type View } from "./address";
import { ANSWERS, type Answers } from "./answers";
import { type AcceptingAll, useAcceptingAll } from "./bulk";
import { ChooseName, NameDone, NothingRefused, NothingWaits } from "./Empty";
import { takeUp } from "./focus";
import { useListing } from "./listing";
import { NameList, waiting } from "./NameList";
import { type Counted, type Names, nameKey, useNames } from "./names";
import { isTyped, Queue } from "./Queue";
import { StatusBar } from "./StatusBar";
import "./review.css";

const VIEWS: readonly { by: View; name: string }[] = [
  { by: "tag", name: "By name" },
  { by: "scene", name: "By scene" },
  { by: "refused", name: "Refused" },
];

export function ReviewPage({ answers = ANSWERS }: { answers?: Answers }) {
  const place = placeOf(useLocation().search);
  const history = useHistory();
  const names = useNames(answers);
  const [told, setTold] = useState("");
  const accepting = useAcceptingAll(answers, (done, called) =>
    setTold(`Accepted ${called} for ${many(done, "scene")}`),
  );
  const page = useRef<HTMLElement>(null);
  useRoom(page);
  useLeaving(answers);
  useAnswers(answers);
  const [undone, setUndone] = useState(0);
  // What stood where nothing was listed may be gone.
  // biome-ignore lint/correctness/useExhaustiveDependencies: after each undoing
  useEffect(() => takeUp(page.current), [undone]);
  const undo = () => {
    const [first, ...others] = answers.undo();
    if (first === undefined) return;
    setUndone((before) => before + 1);
    const { row, from } = first;
    const more = others.length > 0 ? ` and ${others.length.toLocaleString("en-US")} more` : "";
    setTold(`Undone: ${nameOf(row)} for ${row.title}${more}, ${STANDS[from]}`);
  };
  const next = nextName(names.names, place);
  const onKeyDown = (event: React.KeyboardEvent<HTMLElement>) => {
    // React hands on what happens in a dialog too; the keys are not meant for what lies behind it.
    if (isTyped(event) || !event.currentTarget.contains(event.target as Node)) return;
    const key = event.key.toLowerCase();
    if (key === "u" && !event.repeat) undo();
    else if (key === "n" && place.by === "tag" && next) {
      history.push(addressOf({ by: "tag", tag: next.name, kind: next.kind }));
      (document.activeElement as HTMLElement | null)?.blur();
    } else if (key === "/" && place.by === "tag") {
      page.current?.querySelector<HTMLElement>("input[type=search]")?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const parts = { answers, names, place, accepting, next, tell: setTold };
  return (
    <section
      className={`sense-review sense-review-by-${place.by} ${place.tag ? "sense-review-chosen" : ""}`}
      aria-label="Review"
      ref={page}
      onKeyDown={onKeyDown}
    >
      <Head place={place} names={names} />
      <Body {...parts} />
      <StatusBar answers={answers} told={told} undo={undo} by={place.by} />
    </section>
  );
}

const STANDS = { asked: "asked again", accepted: "accepted again", refused: "refused again" };

interface Parts {
  answers: Answers;
  names: Names;
  place: Place;
  accepting: AcceptingAll;
  next: Counted | undefined;
  tell(words: string): void;
}

function Body(parts: Parts) {
  const { names, place } = parts;
  const { ask, loading, error, again } = names;
  if (error && names.names.length === 0) return <Trouble error={error} again={again} />;
  if (place.by === "scene") return <ByScene key="scene" {...parts} />;
  if (place.by === "refused") return <Refused key="refused" {...parts} />;
  if (loading && names.names.length === 0) {
    return (
      <p className="sense-review-empty" role="status">
        Fetching what waits…
      </p>
    );
  }
  if (ask === 0 && !place.tag) return <NothingWaits />;
  return (
    <div className="sense-review-body">
      <NameList names={names.names} place={place} />
      {place.tag ? (
        <OfName key={nameKey({ kind: place.kind, name: place.tag })} {...parts} />
      ) : (
        <ChooseName names={waiting(names.names)} ask={ask} />
      )}
    </div>
  );
}

function Head({ place, names }: { place: Place; names: Names }) {
  return (
    <div className="sense-review-top">
      <h2 className="sr-only">Review</h2>
      <Nav variant="pills" as="nav" aria-label="What to review" className="sense-review-views">
        {VIEWS.map(({ by, name }) => (
          <Nav.Item key={by}>
            <Link
              to={addressOf({ by })}
              className={`nav-link ${place.by === by ? "active" : ""}`}
              aria-current={place.by === by ? "page" : undefined}
              onClick={(event) => event.currentTarget.blur()}
            >
              {name}
              {by === "refused" && names.refused > 0 && (
                <span className="badge badge-secondary ml-2">
                  {names.refused.toLocaleString("en-US")}
                </span>
              )}
            </Link>
          </Nav.Item>
        ))}
      </Nav>
      {names.names.length > 0 && (
        <span className="sense-review-total">
          {many(names.ask, "suggestion")} {names.ask === 1 ? "waits" : "wait"}
        </span>
      )}
    </div>
  );
}

function OfName({ answers, names, place, accepting, next, tell }: Parts) {
  const { tag, kind } = place;
  const asked = { by: "tag", tag, kind, decision: "ask" } as const;
  const listed = useListing(asked, "asked", answers, names.heard);
  const counted = names.names.find((each) => nameKey(each) === nameKey({ kind, name: tag }));
  const called = counted?.called ?? listed.rows[0]?.called;
  return (
    <div className="sense-review-panel">
      <div className="sense-review-title-bar">
        <Link to={addressOf({ by: "tag" })} className="sense-review-back btn btn-secondary">
          All names
        </Link>
        <h3>
          {tag}
          {kind !== "tag" && <span className="text-muted"> {kind}</span>}
          {called !== undefined && <span className="text-muted"> your tag {called}</span>}
          {counted && (
            <span className="badge badge-secondary ml-2">
              {counted.ask.toLocaleString("en-US")}
              <span className="sr-only"> waiting</span>
            </span>
          )}
        </h3>
        <AcceptAbove
          place={place}
          called={called ?? tag}
          listed={listed}
          answers={answers}
          accepting={accepting}
        />
      </div>
      <Queue
        listed={listed}
        answers={answers}
        label={`Scenes with ${called ?? tag}, the most certain first`}
        grouped={false}
        refused={false}
        tell={tell}
      >
        <NameDone name={called ?? tag} next={next} />
      </Queue>
    </div>
  );
}

function ByScene({ answers, names, tell }: Parts) {
  const listed = useListing({ decision: "ask" }, "asked", answers, names.heard);
  return (
    <div className="sense-review-panel">
      <Queue
        listed={listed}
        answers={answers}
        label="Suggestions, scene after scene"
        grouped
        refused={false}
        tell={tell}
      >
        <NothingWaits />
      </Queue>
    </div>
  );
}

function Refused({ answers, names, tell }: Parts) {
  const listed = useListing({ decision: "refused" }, "refused", answers, names.heard);
  return (
    <div className="sense-review-panel">
      <Queue
        listed={listed}
        answers={answers}
        label="What you refused, scene after scene"
        grouped
        refused
        tell={tell}
      >
        <NothingRefused />
      </Queue>
    </div>
  );
}

/** The name to go on with: of which the most waits, but for the one under review. */
function nextName(names: readonly Counted[], { tag, kind }: Place): Counted | undefined {
  const now = nameKey({ kind, name: tag });
  const others = waiting(names).filter((each) => nameKey(each) !== now);
  const [first] = others;
  return first && others.reduce((most, each) => (each.ask > most.ask ? each : most), first);
}

/** Draw again whenever something is said or sent. */
function useAnswers(answers: Answers): void {
  const [, setRound] = useState(0);
  useEffect(() => answers.subscribe(() => setRound((before) => before + 1)), [answers]);
}

/** The page is as high as what is left of the window, so that its lists scroll and not the page. */
function useRoom(page: React.RefObject<HTMLElement>): void {
  useLayoutEffect(() => {
    const measure = () => {
      const element = page.current;
      if (element === null) return;
      const top = element.getBoundingClientRect().top + window.scrollY;
      const bar = document.querySelector(".top-nav")?.getBoundingClientRect();
      // Stash's own bar is at the bottom of a phone.
      const below = bar && bar.top > window.innerHeight / 2 ? window.innerHeight - bar.top : 0;
      element.style.setProperty("--sense-review-taken", `${Math.ceil(top + below)}px`);
    };
    measure();
    window.addEventListener("resize", measure);
    return () => window.removeEventListener("resize", measure);
  }, [page]);
}

/** Send what waits when the page is left, and say so where that cannot be done. */
function useLeaving(answers: Answers): void {
  const toast = useRef(stash().hooks.useToast());
  useEffect(
    () => () => {
      answers.flush();
      void answers.settled().then(() => {
        if (!answers.error) return;
        const what = many(answers.unsent, "answer");
        toast.current.error(
          new Error(
            `${what} of Stash Sense could not be saved yet and will be sent again: ${answers.error.message}`,
          ),
        );
      });
    },
    [answers],
  );
}
