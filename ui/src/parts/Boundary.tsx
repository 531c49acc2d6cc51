/** Keeps a fault of ours to our own part of the page: Stash would blank all of it. */
import React from "react";

interface Props {
  /** What is in it, for the sentence that stands there instead. */
  what: string;
  children?: React.ReactNode;
}

export class Boundary extends React.Component<Props, { error?: Error | undefined }> {
  override state: { error?: Error | undefined } = {};

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (error === undefined) return this.props.children ?? null;
    return (
      <div className="alert alert-warning sense-fault" role="alert">
        Stash Sense cannot show {this.props.what} ({error.message}).{" "}
        <button
          type="button"
          className="btn btn-sm btn-secondary"
          onClick={() => this.setState({ error: undefined })}
        >
          Try again
        </button>
      </div>
    );
  }
}
