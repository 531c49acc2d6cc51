/** Keeps a fault of ours to our own part of the page: Stash would blank all of it. */
import React from "react";

interface Props {
  /** What is in it, for the sentence that stands there instead. */
  what: string;
  /** What is shown below that sentence, such as Stash's own. */
  otherwise?: React.ReactNode;
  /** Where there is no room for a sentence, nothing stands there. */
  isQuiet?: boolean;
  children?: React.ReactNode;
}

export class Boundary extends React.Component<Props, { error?: Error | undefined }> {
  override state: { error?: Error | undefined } = {};

  static getDerivedStateFromError(error: unknown) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render() {
    const { error } = this.state;
    const { what, otherwise, isQuiet, children } = this.props;
    if (error === undefined) return children ?? null;
    if (isQuiet) return null;
    return (
      <>
        <div className="card sense-trouble sense-fault" role="alert">
          <p>
            Stash Sense cannot show {what} ({error.message}). The rest of Stash is not touched by
            this.
          </p>
          <button
            type="button"
            className="btn btn-sm btn-secondary"
            onClick={() => this.setState({ error: undefined })}
          >
            Try again
          </button>{" "}
          <button
            type="button"
            className="btn btn-sm btn-secondary"
            onClick={() => window.location.reload()}
          >
            Load the page anew
          </button>
        </div>
        {otherwise}
      </>
    );
  }
}
