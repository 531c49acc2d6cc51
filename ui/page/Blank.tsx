/** What is left of the page when a component in it throws, as in Stash. */
import React from "react";

interface State {
  error?: Error;
}

export class Blank extends React.Component<{ children?: React.ReactNode }, State> {
  override state: State = {};

  static getDerivedStateFromError(error: Error): State {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (error === undefined) return this.props.children ?? null;
    return (
      <div>
        <h2>Something went wrong.</h2>
        <details className="error-message">{String(error)}</details>
      </div>
    );
  }
}
