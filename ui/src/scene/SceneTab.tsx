/** The tab on a scene's page. */
import React from "react";
import { Trouble } from "../parts/Trouble";
import { useOperation } from "../stash/hooks";

/** What Stash's page hands over of its scene, as far as it is used. */
export interface PageScene {
  id: string;
  title?: string | null;
  files: readonly { duration: number }[];
  tags: readonly { id: string; name: string }[];
}

export function SceneTab({ scene }: { scene: PageScene; seek(seconds: number): void }) {
  const { told, error, reload } = useOperation("scene", { scene_id: scene.id });
  if (error) return <Trouble error={error} again={reload} />;
  return <p>{told?.suggestions.length} suggestions</p>;
}
