/** Short messages at the top of the page. */
import React, { createContext, useCallback, useContext, useMemo, useState } from "react";
import { Toast } from "react-bootstrap";

interface Message {
  id: number;
  content: React.ReactNode;
  variant: "success" | "danger";
}

type Show = (content: React.ReactNode, variant: Message["variant"]) => void;

const Shown = createContext<Show | undefined>(undefined);

export function Toasts({ children }: { children?: React.ReactNode }) {
  const [message, setMessage] = useState<Message>();
  const show = useCallback<Show>(
    (content, variant) => setMessage((before) => ({ id: (before?.id ?? 0) + 1, content, variant })),
    [],
  );
  return (
    <Shown.Provider value={show}>
      {children}
      <div className="toast-container row">
        {message && (
          <Toast
            key={message.id}
            autohide
            delay={message.variant === "danger" ? 5000 : 3000}
            className={message.variant}
            onClose={() => setMessage(undefined)}
          >
            <Toast.Header>
              <span className="mr-auto">{message.content}</span>
            </Toast.Header>
          </Toast>
        )}
      </div>
    </Shown.Provider>
  );
}

/** As Stash's own hook of that name. */
export function useToast() {
  const show = useContext(Shown);
  if (show === undefined) throw new Error("useToast is for what is drawn in the page");
  return useMemo(
    () => ({
      toast: ({ content }: { content: React.ReactNode }) => show(content, "success"),
      success: (message: React.ReactNode) => show(message, "success"),
      error: (error: unknown) =>
        show(error instanceof Error ? error.message : String(error), "danger"),
    }),
    [show],
  );
}
