/** What plugins may listen to. */

class StashEvents extends EventTarget {
  dispatch(name: string, data: object): void {
    const event = `stash:${name}`;
    this.dispatchEvent(new CustomEvent(event, { detail: { event, data } }));
  }
}

export const events = new StashEvents();
