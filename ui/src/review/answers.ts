/** What the user said, on its way to Stash: kept in order, sent in parts, and undone step by step. */
import type { SenseError, Shapes } from "../stash/calls";
import { accept, refuse, type Spoken, type Unsaid, unsay, wasNotSaid } from "../stash/verdicts";

/** How a suggestion stands with the user. */
export type Stand = "asked" | "accepted" | "refused";

export type Answered = Spoken & { title: string; called?: string | undefined };

export interface Change {
  readonly row: Answered;
  readonly from: Stand;
  readonly to: Stand;
}

/** How a change came about. */
export type Cause = "said" | "undone" | "failed";

type Listener = (changes: readonly Change[], cause: Cause) => void;

/** What one key or button did: undone as one. */
export class Step {
  readonly changes: Change[] = [];
  /** Then nothing more may become part of it. */
  undone = false;
}

interface Waiting {
  readonly change: Change;
  /** Whether it was sent before, in a call that failed: some of it may have been done. */
  tried: boolean;
}

/** Answers to one call; few, so that what is looked at in Stash meanwhile is soon true. */
const PART = 20;
/** Where so many wait, more go at once. */
const CROWD = 60;
const CROWD_PART = 100;
/** So long an answer waits for the next one, and may be undone without a word to Stash. */
const WAIT_MS = 1000;
const LONGEST_RETRY_MS = 60_000;
const STEPS_KEPT = 500;
const NOTES_KEPT = 20;

const SEND = { accepted: accept, refused: refuse, asked: unsay } as const;

export function keyOf({ scene_id, kind, name, target_id }: Spoken): string {
  return `${scene_id} ${kind} ${target_id ?? ""} ${name.toLowerCase()}`;
}

export class Answers {
  /** What keeps answers from Stash; they are sent again by themselves. */
  error: SenseError | undefined;
  /** What was done otherwise than was said, in words. */
  notes: readonly string[] = [];
  /** By row, why what was said of it could not be done; until something is said of it again. */
  reasons: ReadonlyMap<string, string> = new Map();
  private waiting: Waiting[] = [];
  private sending: Waiting[] = [];
  private steps: Step[] = [];
  private timer: number | undefined;
  private tries = 0;
  private readonly changeListeners = new Set<Listener>();
  private readonly listeners = new Set<() => void>();
  private idlers: (() => void)[] = [];
  /** Whether the window is asked to stay open, whichever page of Stash is shown. */
  private guarding = false;

  /** Answers that Stash does not know of yet. */
  get unsent(): number {
    return this.waiting.length + this.sending.length;
  }

  get canUndo(): boolean {
    return this.steps.length > 0;
  }

  /** Say the same of some rows; with `step` as part of what was begun before. */
  say(rows: readonly Answered[], from: Stand, to: Stand, step?: Step): Step {
    const into = step ?? new Step();
    if (!this.steps.includes(into)) this.steps = [...this.steps, into].slice(-STEPS_KEPT);
    const changes = rows.map((row) => ({ row: spoken(row), from, to }));
    into.changes.push(...changes);
    for (const change of changes) this.waiting.push({ change, tried: false });
    this.explain(changes.map((change) => [keyOf(change.row), undefined]));
    this.tell(changes);
    this.soon();
    return into;
  }

  /** Take back the last step; what was not sent yet is dropped. Returns what it was. */
  undo(): readonly Change[] {
    const step = this.steps.pop();
    if (step === undefined) return [];
    step.undone = true;
    const undone = [...step.changes].reverse();
    const unsent = new Set(this.waiting.filter((each) => !each.tried).map((each) => each.change));
    const dropped = new Set(undone.filter((change) => unsent.has(change)));
    this.waiting = this.waiting.filter((each) => !dropped.has(each.change));
    const back = undone.map((change) => ({ row: change.row, from: change.to, to: change.from }));
    undone.forEach((change, i) => {
      const reverse = back[i];
      if (reverse && !dropped.has(change)) this.waiting.push({ change: reverse, tried: false });
    });
    this.tell([...back].reverse(), "undone");
    this.soon();
    return step.changes;
  }

  /** Send what waits now. */
  flush(): void {
    window.clearTimeout(this.timer);
    this.timer = undefined;
    if (this.sending.length === 0) void this.send();
  }

  /** Let go of all that waits: the rows are as they were. */
  drop(): void {
    const dropped = this.waiting.map((each) => each.change);
    this.waiting = [];
    this.error = undefined;
    this.tries = 0;
    this.forget(dropped);
    window.clearTimeout(this.timer);
    this.timer = undefined;
    this.tell(
      [...dropped].reverse().map(({ row, from, to }) => ({ row, from: to, to: from })),
      "failed",
    );
  }

  /** Put what could not be done out of sight. */
  dismiss(): void {
    this.notes = [];
    this.reasons = new Map();
    this.tell([]);
  }

  /** Wait until Stash knows of everything, or cannot be told. */
  async settled(): Promise<void> {
    this.flush();
    if (this.unsent === 0 || this.error) return;
    await new Promise<void>((settle) => this.idlers.push(settle));
  }

  /** How rows stand of which Stash does not know yet. */
  pending(): Map<string, Stand> {
    const stands = new Map<string, Stand>();
    for (const { change } of [...this.sending, ...this.waiting]) {
      stands.set(keyOf(change.row), change.to);
    }
    return stands;
  }

  /** Rows that are to stand so, and Stash does not know it yet. */
  unsentAs(stand: Stand): readonly Answered[] {
    const last = new Map<string, Change>();
    for (const { change } of [...this.sending, ...this.waiting])
      last.set(keyOf(change.row), change);
    return [...last.values()].filter(({ to }) => to === stand).map(({ row }) => row);
  }

  /** Hear of each change of a row. */
  onChange(listener: Listener): () => void {
    this.changeListeners.add(listener);
    return () => void this.changeListeners.delete(listener);
  }

  /** Hear whenever anything here is another. */
  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  private tell(changes: readonly Change[], cause: Cause = "said"): void {
    if (changes.length > 0) {
      for (const listener of [...this.changeListeners]) listener(changes, cause);
    }
    for (const listener of [...this.listeners]) listener();
    this.guard();
    if (this.unsent === 0 || this.error) {
      const settled = this.idlers;
      this.idlers = [];
      for (const settle of settled) settle();
    }
  }

  private guard(): void {
    if (this.guarding === this.unsent > 0) return;
    this.guarding = !this.guarding;
    const does = this.guarding ? "addEventListener" : "removeEventListener";
    window[does]("beforeunload", this.leaving);
    document[does]("visibilitychange", this.hidden);
  }

  /** Send what waits before the window is left, and ask where there is no time. */
  private readonly leaving = (event: Event): void => {
    this.flush();
    event.preventDefault();
    (event as BeforeUnloadEvent).returnValue = "";
  };

  private readonly hidden = (): void => {
    if (document.visibilityState === "hidden") this.flush();
  };

  private soon(): void {
    if (this.sending.length > 0 || this.waiting.length === 0 || this.error) return;
    window.clearTimeout(this.timer);
    const wait = this.waiting.length >= PART ? 0 : WAIT_MS;
    this.timer = window.setTimeout(() => this.flush(), wait);
  }

  private async send(): Promise<void> {
    const part = this.nextPart();
    if (part.length === 0) return;
    this.sending = part;
    this.waiting = this.waiting.filter((each) => !part.includes(each));
    this.error = undefined;
    this.tell([]);
    const to = part[0]?.change.to ?? "asked";
    try {
      const told = await SEND[to](part.map((each) => meant(each.change)));
      this.sending = [];
      this.tries = 0;
      this.note("left" in told ? told.left : []);
      this.comeBack(part, told.failures);
      this.soon();
    } catch (why) {
      for (const each of part) each.tried = true;
      this.sending = [];
      this.waiting = [...part, ...this.waiting];
      this.again(why as SenseError);
    }
  }

  /** The first that wait for the same word; what is said of one row is sent in its order. */
  private nextPart(): Waiting[] {
    const most = this.waiting.length >= CROWD ? CROWD_PART : PART;
    const to = this.waiting[0]?.change.to;
    const passed = new Set<string>();
    const part: Waiting[] = [];
    for (const each of this.waiting) {
      const key = keyOf(each.change.row);
      if (each.change.to === to && !passed.has(key)) part.push(each);
      else passed.add(key);
      if (part.length === most) break;
    }
    return part;
  }

  private again(why: SenseError): void {
    this.error = why;
    this.tries += 1;
    this.tell([]);
    const wait = Math.min(LONGEST_RETRY_MS, 5000 * 2 ** (this.tries - 1));
    this.timer = window.setTimeout(() => this.flush(), wait);
  }

  /** What failed stands as before; an undoing of it that waits is done with that. */
  private comeBack(part: readonly Waiting[], failures: readonly Shapes["NotDone"][]): void {
    const back: Change[] = [];
    const failed: Change[] = [];
    const reasons: [string, string][] = [];
    for (const failure of failures) {
      const sent = part.find((each) => isAbout(each.change.row, failure));
      if (sent === undefined) {
        this.note([failure]);
        continue;
      }
      const { change, tried } = sent;
      // It was taken back the first time, and the reply was lost.
      if (tried && change.to === "asked" && wasNotSaid(meant(change), failure)) continue;
      failed.push(change);
      const key = keyOf(change.row);
      const undone = this.waiting.find(
        (each) => keyOf(each.change.row) === key && each.change.to === change.from,
      );
      reasons.push([key, said(failure)]);
      if (undone) this.waiting = this.waiting.filter((each) => each !== undone);
      else back.push({ row: change.row, from: change.to, to: change.from });
    }
    this.forget(failed);
    this.explain(reasons);
    this.tell(back, "failed");
  }

  /** Leave these out of what can be undone. */
  private forget(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    const gone = new Set(changes);
    for (const step of this.steps) {
      const kept = step.changes.filter((change) => !gone.has(change));
      step.changes.splice(0, step.changes.length, ...kept);
    }
    this.steps = this.steps.filter((step) => step.changes.length > 0);
  }

  private explain(said: readonly (readonly [string, string | undefined])[]): void {
    const reasons = new Map(this.reasons);
    for (const [key, reason] of said) {
      reasons.delete(key);
      if (reason !== undefined) reasons.set(key, reason);
    }
    this.reasons = reasons;
  }

  private note(stays: readonly Shapes["NotDone"][]): void {
    const told = stays.map((each) => `${each.name} of scene ${each.scene_id}: ${said(each)}`);
    this.notes = [...this.notes, ...told].slice(-NOTES_KEPT);
  }
}

/** Only what is spoken of: the frames and ranges of thousands of answers need not be kept. */
function spoken({ scene_id, kind, name, called, target_id, title }: Answered): Answered {
  return { scene_id, kind, name, called, target_id, title };
}

/** With what it was, of which alone it may be taken back. */
function meant({ row, from }: Change): Unsaid {
  return from === "asked" ? row : { ...row, said: from };
}

/** A tag may fail under another of its names. */
function isAbout(row: Spoken, failure: Shapes["NotDone"]): boolean {
  if (row.scene_id !== failure.scene_id || row.kind !== failure.kind) return false;
  const same = row.name.toLowerCase() === failure.name.toLowerCase();
  return same || (!!failure.target_id && failure.target_id === row.target_id);
}

export function said(failure: Pick<Shapes["NotDone"], "message" | "remedy">): string {
  return failure.remedy ? `${failure.message}; ${failure.remedy}` : failure.message;
}

/** One for all our pages: answers are sent, and can be undone, wherever in Stash the user is. */
export const ANSWERS = new Answers();
