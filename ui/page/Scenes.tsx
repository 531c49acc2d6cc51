/** The list of scenes. */
import { useQuery } from "@apollo/client";
import { faEllipsisH, faPencil, faPlay, faPlus, faTrash } from "@fortawesome/free-solid-svg-icons";
import React, { useState } from "react";
import { Button, ButtonGroup, Card, Dropdown, Form } from "react-bootstrap";
import { createPortal } from "react-dom";
import { Link, useHistory, useLocation } from "react-router-dom";
import { FIND_SCENES, type Scene } from "./documents";
import { Icon } from "./Icon";
import { useKeys } from "./keys";
import { component } from "./patch";
import { clock, resolution, titleOf } from "./texts";

const PER_PAGE = 40;

interface CardProps {
  scene: Scene;
  selected?: boolean;
  selecting?: boolean;
  onSelectedChanged?(selected: boolean): void;
}

const SceneCardImage = component<CardProps>("SceneCard.Image", ({ scene }) => {
  const file = scene.files[0];
  return (
    <>
      <div className="scene-card-preview">
        <img
          className="scene-card-preview-image"
          loading="lazy"
          src={scene.paths.screenshot ?? undefined}
          alt=""
        />
      </div>
      {file && (
        <div className="scene-specs-overlay">
          <span className="overlay-resolution">{resolution(file.width, file.height)}</span>
          <span className="overlay-duration">{clock(file.duration)}</span>
        </div>
      )}
    </>
  );
});

const SceneCardOverlays = component<CardProps>("SceneCard.Overlays", ({ scene }) =>
  scene.studio ? <div className="studio-overlay">{scene.studio.name}</div> : null,
);

const SceneCardDetails = component<CardProps>("SceneCard.Details", ({ scene }) => (
  <div className="scene-card__details">
    <span className="scene-card__date">{scene.date}</span>
    <p className="scene-card__description">{scene.details}</p>
  </div>
));

const SceneCardPopovers = component<CardProps>("SceneCard.Popovers", ({ scene }) =>
  scene.tags.length > 0 ? (
    <>
      <hr />
      <ButtonGroup className="card-popovers">
        <span
          className="tag-count minimal btn"
          title={scene.tags.map((tag) => tag.name).join(", ")}
        >
          {scene.tags.length} {scene.tags.length === 1 ? "tag" : "tags"}
        </span>
      </ButtonGroup>
    </>
  ) : null,
);

const SceneCard = component<CardProps>("SceneCard", (props) => {
  const { scene, selected = false, selecting = false, onSelectedChanged } = props;
  const choose = (event: React.MouseEvent) => {
    if (!selecting) return;
    onSelectedChanged?.(!selected);
    event.preventDefault();
  };
  return (
    <Card className="scene-card grid-card">
      <div className="card-controls">
        <Form.Control
          type="checkbox"
          className="card-check mousetrap"
          checked={selected}
          onChange={() => onSelectedChanged?.(!selected)}
        />
      </div>
      <div className="video-section thumbnail-section">
        <Link to={`/scenes/${scene.id}`} className="scene-card-link" onClick={choose}>
          <SceneCardImage {...props} />
        </Link>
        <SceneCardOverlays {...props} />
      </div>
      <div className="card-section">
        <Link to={`/scenes/${scene.id}`} onClick={choose}>
          <h5 className="card-section-title flex-aligned">{titleOf(scene)}</h5>
        </Link>
        <SceneCardDetails {...props} />
      </div>
      <SceneCardPopovers {...props} />
    </Card>
  );
});

interface Operation {
  text: string;
  onClick(): void;
  isDisplayed?(): boolean;
  className?: string;
}

interface OperationsProps {
  items: number;
  hasSelection: boolean;
  operations: Operation[];
  onEdit(): void;
  onDelete(): void;
  onPlay(): void;
  onCreateNew(): void;
}

const SceneListOperations = component<OperationsProps>("SceneListOperations", (props) => (
  <div className="scene-list-operations">
    <ButtonGroup>
      {props.items > 0 && (
        <Button className="play-button" variant="secondary" title="Play" onClick={props.onPlay}>
          <Icon icon={faPlay} />
        </Button>
      )}
      {props.hasSelection ? (
        <>
          <Button variant="secondary" title="Edit" onClick={props.onEdit}>
            <Icon icon={faPencil} />
          </Button>
          <Button
            variant="danger"
            className="btn-danger-minimal"
            title="Delete"
            onClick={props.onDelete}
          >
            <Icon icon={faTrash} />
          </Button>
        </>
      ) : (
        <Button
          className="create-new-button"
          variant="secondary"
          title="Create Scene"
          onClick={props.onCreateNew}
        >
          <Icon icon={faPlus} />
        </Button>
      )}
      <Dropdown as={ButtonGroup} className="scene-list-operations">
        <Dropdown.Toggle variant="secondary" id="more-menu">
          <Icon icon={faEllipsisH} />
        </Dropdown.Toggle>
        {createPortal(
          <Dropdown.Menu className="bg-secondary text-white scene-list-operations-dropdown">
            {props.operations
              .filter(({ isDisplayed }) => isDisplayed?.() ?? true)
              .map(({ text, onClick, className = "" }) => (
                <Dropdown.Item
                  key={text}
                  className={`bg-secondary text-white ${className}`}
                  onClick={onClick}
                >
                  {text}
                </Dropdown.Item>
              ))}
          </Dropdown.Menu>,
          document.body,
        )}
      </Dropdown>
    </ButtonGroup>
  </div>
));

function Pages({ page, count, go }: { page: number; count: number; go(page: number): void }) {
  const pages = Math.max(1, Math.ceil(count / PER_PAGE));
  return (
    <ButtonGroup className="pagination" aria-label="Pages">
      <Button variant="secondary" disabled={page <= 1} onClick={() => go(page - 1)}>
        Previous
      </Button>
      <span className="btn btn-secondary disabled">
        {page} of {pages}
      </span>
      <Button variant="secondary" disabled={page >= pages} onClick={() => go(page + 1)}>
        Next
      </Button>
    </ButtonGroup>
  );
}

/** The words and the page of the address: they survive a reload and the way back. */
function useFilter() {
  const { search } = useLocation();
  const history = useHistory();
  const asked = new URLSearchParams(search);
  const q = asked.get("q") ?? "";
  const page = Math.max(1, Number(asked.get("p")) || 1);
  const set = (values: { q?: string; p?: number }) => {
    const next = new URLSearchParams(search);
    for (const [key, value] of Object.entries(values)) next.set(key, String(value));
    history.replace({ search: next.toString() });
  };
  return { q, page, set };
}

export function Scenes() {
  const history = useHistory();
  const { q, page, set } = useFilter();
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const filter = { q, page, per_page: PER_PAGE, sort: "id", direction: "ASC" };
  const { data, error } = useQuery(FIND_SCENES, { variables: { filter } });
  const scenes = data?.findScenes.scenes ?? [];
  const count = data?.findScenes.count ?? 0;
  const hasSelection = selected.size > 0;
  const selectAll = () => setSelected(new Set(scenes.map((scene) => scene.id)));
  const selectNone = () => setSelected(new Set());
  const open = (id = [...selected][0] ?? scenes[0]?.id) => {
    if (id !== undefined) history.push(`/scenes/${id}`);
  };
  const change = (id: string) => (on: boolean) =>
    setSelected(
      (before) => new Set(on ? [...before, id] : [...before].filter((one) => one !== id)),
    );
  useKeys({
    "s a": selectAll,
    "s n": selectNone,
    e: () => hasSelection && open(),
  });
  const operations: Operation[] = [
    { text: "Select All", onClick: selectAll, isDisplayed: () => count > 0 },
    { text: "Select None", onClick: selectNone, isDisplayed: () => hasSelection },
  ];
  if (error) return <div className="alert alert-danger">{error.message}</div>;
  return (
    <div className="item-list-container scene-list">
      <div className="filtered-list-toolbar">
        <Form.Control
          className="query-text-field bg-secondary text-white border-secondary"
          aria-label="Search"
          placeholder="Search…"
          defaultValue={q}
          onChange={(event) => set({ q: event.currentTarget.value, p: 1 })}
        />
        {hasSelection && <span className="selected-items-info">{selected.size} selected</span>}
        <SceneListOperations
          items={scenes.length}
          hasSelection={hasSelection}
          operations={operations}
          onEdit={() => open()}
          onDelete={selectNone}
          onPlay={() => open()}
          onCreateNew={() => history.push("/scenes/new")}
        />
      </div>
      <Pages page={page} count={count} go={(p) => set({ p })} />
      <div className="row justify-content-center scene-cards">
        {scenes.map((scene) => (
          <SceneCard
            key={scene.id}
            scene={scene}
            selecting={hasSelection}
            selected={selected.has(scene.id)}
            onSelectedChanged={change(scene.id)}
          />
        ))}
      </div>
      <Pages page={page} count={count} go={(p) => set({ p })} />
    </div>
  );
}
