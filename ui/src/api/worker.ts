// Made by `npm run types`.

export interface paths {
    "/v1/call": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ask for one thing: what Stash hands to the plugin, and what it is told. */
        post: operations["call"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * AcceptTold
         * @description Of the accepted, those were written, and those were there already.
         */
        AcceptTold: {
            /** Accepted */
            accepted: number;
            /** Dry Run */
            dry_run: boolean;
            /** Failed */
            failed: number;
            /** Failures */
            failures: components["schemas"]["NotDone"][];
            /** Markers */
            markers: number;
            /** Run Id */
            run_id: string | null;
            /** There */
            there: number;
            /** Written */
            written: number;
        };
        /**
         * Begun
         * @description A job that was begun, or that does this very thing already.
         */
        Begun: {
            /** Job Id */
            job_id: string;
        };
        /**
         * Bin
         * @description Claims of one confidence, and how many of them were right.
         */
        Bin: {
            /** Claims */
            claims: number;
            /** Confidence */
            confidence: number;
            /** Right */
            right: number;
        };
        /**
         * CancelTold
         * @description Whether there was something to cancel.
         */
        CancelTold: {
            /** Cancelled */
            cancelled: boolean;
        };
        /**
         * Counted
         * @description How often one thing is suggested.
         */
        Counted: {
            /** Apply */
            apply: number;
            /** Ask */
            ask: number;
            /**
             * Kind
             * @enum {string}
             */
            kind: "tag" | "studio" | "performer";
            /** Name */
            name: string;
            /** Refused */
            refused: number;
        };
        /**
         * CountsTold
         * @description A page of what is suggested by name.
         */
        CountsTold: {
            /** Next */
            next: string | null;
            /** Tags */
            tags: components["schemas"]["Counted"][];
        };
        /**
         * Covered
         * @description How many scenes a network has looked at.
         */
        Covered: {
            /** Detector */
            detector: string;
            /** Model */
            model: string;
            /** Scenes */
            scenes: number;
        };
        /**
         * DecisionsCounted
         * @description How many suggestions.
         */
        DecisionsCounted: {
            /** Apply */
            apply: number;
            /** Ask */
            ask: number;
            /** Refused */
            refused: number;
        };
        /**
         * DoctorAsked
         * @description Whether to read the store whole.
         */
        DoctorAsked: {
            /** Thorough */
            thorough?: boolean;
        };
        /**
         * DoctorTold
         * @description Doctor's report.
         */
        DoctorTold: {
            /** Facts */
            facts: components["schemas"]["FactRow"][];
            /** Made */
            made: string;
            /** Notes */
            notes: number;
            /** Problems */
            problems: number;
            /** Report */
            report: string;
            /** Version */
            version: string;
            /** Well */
            well: boolean;
        };
        /**
         * ErrorRow
         * @description A scene whose last look failed.
         */
        ErrorRow: {
            /** Failed At S */
            failed_at_s: number;
            /** Kind */
            kind: string;
            /** Message */
            message: string;
            /** Remedy */
            remedy: string;
            /** Run Id */
            run_id: string;
            /** Scene Id */
            scene_id: string;
            /** Source */
            source: string;
        };
        /**
         * ErrorsTold
         * @description A page of them, the newest first.
         */
        ErrorsTold: {
            /** Errors */
            errors: components["schemas"]["ErrorRow"][];
            /** Next */
            next: string | null;
        };
        /**
         * EvaluationTold
         * @description The last evaluation's figures; `made_at_s` is null where there was none.
         */
        EvaluationTold: {
            /** Bins */
            bins: components["schemas"]["Bin"][];
            /** Calibration Error */
            calibration_error: number | null;
            /** Made At S */
            made_at_s: number | null;
            /** More */
            more: number;
            /** Page */
            page: string;
            /** Scenes */
            scenes: number;
            shown: components["schemas"]["Share"];
            /** Tags */
            tags: components["schemas"]["TagJudged"][];
            /** Wanted Precision */
            wanted_precision: number | null;
            written: components["schemas"]["Share"];
        };
        /**
         * FactRow
         * @description One thing that was found.
         */
        FactRow: {
            /** Found */
            found: string;
            /** Group */
            group: string;
            /**
             * Level
             * @enum {string}
             */
            level: "ok" | "note" | "problem";
            /** Remedy */
            remedy: string;
            /** What */
            what: string;
        };
        /**
         * Failure
         * @description Why something failed, and what to do about it.
         */
        Failure: {
            /** Kind */
            kind: string;
            /** Message */
            message: string;
            /** Remedy */
            remedy: string;
        };
        /**
         * JobAsked
         * @description A job by its id.
         */
        JobAsked: {
            /** Job Id */
            job_id: string;
        };
        /**
         * JobTold
         * @description A job of the worker's; `output` is there once it is done.
         */
        JobTold: {
            /** Ahead */
            ahead: number;
            /** Begun At S */
            begun_at_s: number | null;
            /** Ended At S */
            ended_at_s: number | null;
            error: components["schemas"]["Remedy"] | null;
            /** Id */
            id: string;
            /** Lines */
            lines: components["schemas"]["LogLine"][];
            /** Mode */
            mode: string;
            /** Next At S */
            next_at_s: number | null;
            /** Output */
            output: {
                [key: string]: unknown;
            } | null;
            /** Progress */
            progress: number;
            /** Queued At S */
            queued_at_s: number;
            /** Scene Ids */
            scene_ids: string[];
            /**
             * Status
             * @enum {string}
             */
            status: "queued" | "running" | "done" | "failed" | "cancelled" | "interrupted";
            /** Tries */
            tries: number;
        };
        /**
         * JobsAsked
         * @description How many of those under way, and of those that have ended.
         */
        JobsAsked: {
            /** Limit */
            limit?: number;
        };
        /**
         * JobsTold
         * @description What runs, what waits in its order, then what has ended, the newest first.
         */
        JobsTold: {
            /** Jobs */
            jobs: components["schemas"]["JobTold"][];
        };
        /**
         * LogLine
         * @description A line that a job said.
         */
        LogLine: {
            /**
             * Level
             * @enum {string}
             */
            level: "trace" | "debug" | "info" | "warning" | "error";
            /** Message */
            message: string;
        };
        /**
         * ModelRow
         * @description A network of the catalogue.
         */
        ModelRow: {
            /** About */
            about: string;
            /** Accepted */
            accepted: boolean;
            /** Chosen */
            chosen: string;
            /** Commercial */
            commercial: boolean;
            /** Disk Megabytes */
            disk_megabytes: number;
            /** Here */
            here: boolean;
            /** Lacks */
            lacks: string;
            /** Language */
            language: string;
            /** Licence */
            licence: string;
            /** Lighter */
            lighter: string[];
            /** Made */
            made: boolean;
            /** Megabytes */
            megabytes: number | null;
            /** Name */
            name: string;
            /** Own */
            own: boolean;
            /** Page */
            page?: string;
            /** Presets */
            presets: string[];
            /** Runs */
            runs: components["schemas"]["Opened"][];
            /** Suits */
            suits: string;
            /** Task */
            task: string;
            /** Untried */
            untried: boolean;
        };
        /**
         * ModelsTold
         * @description The catalogue, grouped by what they are for, and which preset is in force and why.
         */
        ModelsTold: {
            /** Complaints */
            complaints?: string[];
            /** Models */
            models: components["schemas"]["ModelRow"][];
            /** Preset */
            preset: string;
            /** Why */
            why: string;
        };
        Modes: {
            accept: {
                asked: components["schemas"]["VerdictAsked"];
                told: components["schemas"]["AcceptTold"];
            };
            cancel_job: {
                asked: components["schemas"]["JobAsked"];
                told: components["schemas"]["CancelTold"];
            };
            counts: {
                asked: components["schemas"]["PageAsked"];
                told: components["schemas"]["CountsTold"];
            };
            doctor: {
                asked: components["schemas"]["DoctorAsked"];
                told: components["schemas"]["DoctorTold"];
            };
            errors: {
                asked: components["schemas"]["PageAsked"];
                told: components["schemas"]["ErrorsTold"];
            };
            evaluation: {
                asked: components["schemas"]["NothingAsked"];
                told: components["schemas"]["EvaluationTold"];
            };
            job: {
                asked: components["schemas"]["JobAsked"];
                told: components["schemas"]["JobTold"];
            };
            jobs: {
                asked: components["schemas"]["JobsAsked"];
                told: components["schemas"]["JobsTold"];
            };
            models: {
                asked: components["schemas"]["NothingAsked"];
                told: components["schemas"]["ModelsTold"];
            };
            overview: {
                asked: components["schemas"]["NothingAsked"];
                told: components["schemas"]["OverviewTold"];
            };
            pictures: {
                asked: components["schemas"]["PicturesAsked"];
                told: components["schemas"]["PicturesTold"];
            };
            refuse: {
                asked: components["schemas"]["VerdictAsked"];
                told: components["schemas"]["RefuseTold"];
            };
            runs: {
                asked: components["schemas"]["PageAsked"];
                told: components["schemas"]["RunsTold"];
            };
            scene: {
                asked: components["schemas"]["SceneAsked"];
                told: components["schemas"]["SceneTold"];
            };
            suggestions: {
                asked: components["schemas"]["SuggestionsAsked"];
                told: components["schemas"]["SuggestionsTold"];
            };
            tag_scene: {
                asked: components["schemas"]["TagSceneAsked"];
                told: components["schemas"]["Begun"];
            };
            unsay: {
                asked: components["schemas"]["UnsayAsked"];
                told: components["schemas"]["UnsayTold"];
            };
        };
        /**
         * Named
         * @description A suggestion that is spoken of.
         */
        Named: {
            /**
             * Kind
             * @enum {string}
             */
            kind?: "tag" | "studio" | "performer" | "marker";
            /** Name */
            name: string;
            /** Scene Id */
            scene_id: string;
            /** Target Id */
            target_id?: string;
        };
        /**
         * NamedSaid
         * @description A suggestion of which something was said: with `said`, that alone is taken back.
         */
        NamedSaid: {
            /**
             * Kind
             * @enum {string}
             */
            kind?: "tag" | "studio" | "performer" | "marker";
            /** Name */
            name: string;
            /**
             * Said
             * @enum {string}
             */
            said?: "accepted" | "refused";
            /** Scene Id */
            scene_id: string;
            /** Target Id */
            target_id?: string;
        };
        /**
         * NotDone
         * @description What could not be done, or stays as it is.
         */
        NotDone: {
            /** Kind */
            kind: string;
            /** Message */
            message: string;
            /** Name */
            name: string;
            /** Remedy */
            remedy: string;
            /** Scene Id */
            scene_id: string;
            /** Target Id */
            target_id: string;
        };
        /**
         * NothingAsked
         * @description No arguments.
         */
        NothingAsked: Record<string, never>;
        /**
         * Opened
         * @description A network that is open now.
         */
        Opened: {
            /** Device */
            device: string;
            /** Precision */
            precision: string;
            /** Role */
            role: string;
        };
        /**
         * OverviewTold
         * @description The state of the library.
         */
        OverviewTold: {
            /** Complaints */
            complaints: string[];
            /** Coverage */
            coverage: components["schemas"]["Covered"][];
            scenes: components["schemas"]["ScenesCounted"];
            speed: components["schemas"]["Speed"] | null;
            suggestions: components["schemas"]["DecisionsCounted"];
            /** Version */
            version: string;
            workflow: components["schemas"]["WorkflowTags"];
        };
        /**
         * PageAsked
         * @description A page of a list; `after` is the last page's `next`.
         */
        PageAsked: {
            /** After */
            after?: string;
            /** Limit */
            limit?: number;
        };
        /**
         * PartOfTime
         * @description What a part of the work took of the scenes last looked at.
         */
        PartOfTime: {
            /** Device */
            device: string;
            /** Frames */
            frames: number;
            /** Seconds */
            seconds: number;
            /** What */
            what: string;
        };
        /**
         * Picture
         * @description One frame: a tile of Stash's own sheet, or a `data:` address; neither where there is none.
         */
        Picture: {
            /** Data */
            data: string | null;
            tile: components["schemas"]["Tile"] | null;
            /** Time S */
            time_s: number;
        };
        /**
         * PicturesAsked
         * @description Frames of a scene at these times, 24 at most; `width_px` (80..640) of those drawn anew.
         */
        PicturesAsked: {
            /** Scene Id */
            scene_id: string;
            /** Times S */
            times_s: number[];
            /** Width Px */
            width_px?: number;
        };
        /**
         * PicturesTold
         * @description The frames in the order in which they were asked for; `note` says why some are missing.
         */
        PicturesTold: {
            /** Note */
            note: string;
            /** Pictures */
            pictures: components["schemas"]["Picture"][];
        };
        /**
         * Proof
         * @description One frame that shows why; `box` is x, y, width and height as shares of the picture.
         */
        Proof: {
            /** Box */
            box: number[] | null;
            /** Detector */
            detector: string;
            /** Model */
            model: string;
            /** Score */
            score: number;
            /** Text */
            text: string | null;
            /** Time S */
            time_s: number;
        };
        /**
         * RanRow
         * @description A detector that looked; `seconds` is 0 where the store had the answer.
         */
        RanRow: {
            /** Detector */
            detector: string;
            /** Device */
            device: string;
            /** Frames */
            frames: number;
            /** Model */
            model: string;
            /** Precision */
            precision: string;
            /** Seconds */
            seconds: number;
        };
        /**
         * Range
         * @description A stretch of a scene.
         */
        Range: {
            /** End S */
            end_s: number;
            /** Score */
            score: number;
            /** Start S */
            start_s: number;
        };
        /**
         * RefuseTold
         * @description Of the refused, those were taken back, and those are not ours to take.
         */
        RefuseTold: {
            /** Dry Run */
            dry_run: boolean;
            /** Failed */
            failed: number;
            /** Failures */
            failures: components["schemas"]["NotDone"][];
            /** Left */
            left: components["schemas"]["NotDone"][];
            /** Markers */
            markers: number;
            /** Not Ours */
            not_ours: number;
            /** Refused */
            refused: number;
            /** Run Id */
            run_id: string | null;
            /** Taken Back */
            taken_back: number;
        };
        /**
         * Remedy
         * @description What went wrong, and what to do about it.
         */
        Remedy: {
            /** Message */
            message: string;
            /** Remedy */
            remedy: string;
        };
        /**
         * RunRow
         * @description A run with what of it is still ours.
         */
        RunRow: {
            /** Begun At S */
            begun_at_s: number;
            /** Created Tags */
            created_tags: number;
            /** Kind */
            kind: string;
            /** Markers */
            markers: number;
            /** Run Id */
            run_id: string;
            /** Status */
            status: string;
            /** Studios */
            studios: number;
            /** Tags */
            tags: number;
            /** Taken Back */
            taken_back: number;
            /** Undone */
            undone: boolean;
            /** Verdicts */
            verdicts: number;
            /** Workflow Moves */
            workflow_moves: number;
        };
        /**
         * RunsTold
         * @description A page of them, the newest first.
         */
        RunsTold: {
            /** Next */
            next: string | null;
            /** Runs */
            runs: components["schemas"]["RunRow"][];
        };
        /**
         * SceneAsked
         * @description A scene of Stash.
         */
        SceneAsked: {
            /** Scene Id */
            scene_id: string;
        };
        /**
         * SceneTold
         * @description All that is known of a scene; `looked_at_s` is null where it was never looked at.
         */
        SceneTold: {
            /** Changed */
            changed: boolean;
            /** Duration S */
            duration_s: number | null;
            error: components["schemas"]["Failure"] | null;
            job: components["schemas"]["JobTold"] | null;
            /** Looked At S */
            looked_at_s: number | null;
            /** More */
            more: number;
            /** Ran */
            ran: components["schemas"]["RanRow"][];
            /** Scene Id */
            scene_id: string;
            /** Skipped */
            skipped: components["schemas"]["SkippedRow"][];
            /** Suggestions */
            suggestions: components["schemas"]["SuggestionRow"][];
            /** Texts */
            texts: components["schemas"]["Words"][];
        };
        /**
         * ScenesCounted
         * @description How many scenes; null where Stash was not asked.
         */
        ScenesCounted: {
            /** Errored */
            errored: number | null;
            /** Failed */
            failed: number;
            /** In Stash */
            in_stash: number | null;
            /** Looked At */
            looked_at: number;
            /** Tagged */
            tagged: number | null;
            /** To Do */
            to_do: number | null;
        };
        /**
         * Share
         * @description Precision, recall and their harmonic mean; null where nothing speaks for one.
         */
        Share: {
            /** F1 */
            f1: number | null;
            /** Precision */
            precision: number | null;
            /** Recall */
            recall: number | null;
        };
        /**
         * SkippedRow
         * @description A detector that did not look.
         */
        SkippedRow: {
            /** Detector */
            detector: string;
            /** Reason */
            reason: string;
            /** Remedy */
            remedy: string;
        };
        /**
         * Speed
         * @description How quick the scenes last looked at were; the part with the most seconds limits.
         */
        Speed: {
            /** Limit */
            limit: string;
            /** Parts */
            parts: components["schemas"]["PartOfTime"][];
            /** Scenes */
            scenes: number;
            /** Seconds */
            seconds: number;
        };
        /**
         * SuggestionRow
         * @description One suggestion for one scene.
         */
        SuggestionRow: {
            /** Called */
            called?: string;
            /** Confidence */
            confidence: number;
            /**
             * Decision
             * @enum {string}
             */
            decision: "HIDE" | "ASK" | "APPLY";
            /** Duration S */
            duration_s?: number | null;
            /** Evidence */
            evidence: components["schemas"]["Proof"][];
            /** In Stash */
            in_stash: ("absent" | "there" | "ours") | null;
            /**
             * Kind
             * @enum {string}
             */
            kind: "tag" | "studio" | "performer" | "marker";
            /** Label */
            label: string;
            /** Name */
            name: string;
            /** Ranges */
            ranges: components["schemas"]["Range"][];
            /** Said */
            said: ("accepted" | "refused") | null;
            /** Scene Id */
            scene_id: string;
            /** Source */
            source: string;
            /** Target Id */
            target_id: string | null;
            /** Title */
            title: string;
        };
        /**
         * SuggestionsAsked
         * @description By tag: the scenes of `tag`. By scene: those of `scene_id`. Else all, scene after scene.
         */
        SuggestionsAsked: {
            /** After */
            after?: string;
            /**
             * By
             * @enum {string}
             */
            by?: "tag" | "scene";
            /**
             * Decision
             * @enum {string}
             */
            decision?: "ask" | "apply" | "refused";
            /**
             * Kind
             * @enum {string}
             */
            kind?: "tag" | "studio" | "performer";
            /** Limit */
            limit?: number;
            /** Scene Id */
            scene_id?: string;
            /** Tag */
            tag?: string;
        };
        /**
         * SuggestionsTold
         * @description A page of suggestions; `next` is the next one's `after`, null at the end.
         */
        SuggestionsTold: {
            /** Next */
            next: string | null;
            /** Suggestions */
            suggestions: components["schemas"]["SuggestionRow"][];
        };
        /**
         * TagJudged
         * @description How good what is said of one tag is.
         */
        TagJudged: {
            /** Average Precision */
            average_precision: number | null;
            /** Enough */
            enough: boolean;
            /** Name */
            name: string;
            /** Positives */
            positives: number;
            /** Scenes */
            scenes: number;
            shown: components["schemas"]["Share"];
            written: components["schemas"]["Share"];
        };
        /**
         * TagSceneAsked
         * @description One scene, or several.
         */
        TagSceneAsked: {
            /** Scene Id */
            scene_id?: string;
            /** Scene Ids */
            scene_ids?: string[];
        };
        /**
         * Tile
         * @description A part of a sprite sheet in pixels; `path` is on Stash's server.
         */
        Tile: {
            /** Height */
            height: number;
            /** Path */
            path: string;
            /** Sheet Height */
            sheet_height: number;
            /** Sheet Width */
            sheet_width: number;
            /** Width */
            width: number;
            /** X */
            x: number;
            /** Y */
            y: number;
        };
        /**
         * UnsayAsked
         * @description The suggestions of which what was said last is taken back.
         *
         *     Of an acceptance that replaced a refusal the refusal holds again: who may ask twice says in
         *     `said` what is meant.
         */
        UnsayAsked: {
            /** Dry Run */
            dry_run?: boolean;
            /** Items */
            items: components["schemas"]["NamedSaid"][];
        };
        /**
         * UnsayTold
         * @description What was said is forgotten: what it wrote is taken back, what it took is written again.
         */
        UnsayTold: {
            /** Dry Run */
            dry_run: boolean;
            /** Failed */
            failed: number;
            /** Failures */
            failures: components["schemas"]["NotDone"][];
            /** Left */
            left: components["schemas"]["NotDone"][];
            /** Markers */
            markers: number;
            /** Run Id */
            run_id: string | null;
            /** Taken Back */
            taken_back: number;
            /** Unsaid */
            unsaid: number;
            /** Written */
            written: number;
        };
        /**
         * VerdictAsked
         * @description The suggestions in `items`, or of a tag all that are at least as certain as `above`.
         */
        VerdictAsked: {
            /** Above */
            above?: number;
            /** Dry Run */
            dry_run?: boolean;
            /** Items */
            items?: components["schemas"]["Named"][];
            /**
             * Kind
             * @enum {string}
             */
            kind?: "tag" | "studio" | "performer";
            /** Tag */
            tag?: string;
        };
        /**
         * VerdictTold
         * @description What came of it; of all failures the first hundred are named.
         */
        VerdictTold: {
            /** Dry Run */
            dry_run: boolean;
            /** Failed */
            failed: number;
            /** Failures */
            failures: components["schemas"]["NotDone"][];
            /** Run Id */
            run_id: string | null;
        };
        /**
         * Words
         * @description Text that was read on screen.
         */
        Words: {
            /** End S */
            end_s: number;
            /** Score */
            score: number;
            /** Start S */
            start_s: number;
            /** Text */
            text: string;
        };
        /**
         * WorkflowTags
         * @description The names of the workflow tags.
         */
        WorkflowTags: {
            /** Errored */
            errored: string;
            /** Tagged */
            tagged: string;
            /** To Do */
            to_do: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    call: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    args: ({
                        /** @constant */
                        mode: "suggestions";
                    } & components["schemas"]["SuggestionsAsked"]) | ({
                        /** @constant */
                        mode: "counts";
                    } & components["schemas"]["PageAsked"]) | ({
                        /** @constant */
                        mode: "accept";
                    } & components["schemas"]["VerdictAsked"]) | ({
                        /** @constant */
                        mode: "refuse";
                    } & components["schemas"]["VerdictAsked"]) | ({
                        /** @constant */
                        mode: "unsay";
                    } & components["schemas"]["UnsayAsked"]) | ({
                        /** @constant */
                        mode: "scene";
                    } & components["schemas"]["SceneAsked"]) | ({
                        /** @constant */
                        mode: "pictures";
                    } & components["schemas"]["PicturesAsked"]) | ({
                        /** @constant */
                        mode: "tag_scene";
                    } & components["schemas"]["TagSceneAsked"]) | ({
                        /** @constant */
                        mode: "job";
                    } & components["schemas"]["JobAsked"]) | ({
                        /** @constant */
                        mode: "jobs";
                    } & components["schemas"]["JobsAsked"]) | ({
                        /** @constant */
                        mode: "cancel_job";
                    } & components["schemas"]["JobAsked"]) | ({
                        /** @constant */
                        mode: "errors";
                    } & components["schemas"]["PageAsked"]) | ({
                        /** @constant */
                        mode: "runs";
                    } & components["schemas"]["PageAsked"]) | ({
                        /** @constant */
                        mode: "models";
                    } & components["schemas"]["NothingAsked"]) | ({
                        /** @constant */
                        mode: "doctor";
                    } & components["schemas"]["DoctorAsked"]) | ({
                        /** @constant */
                        mode: "overview";
                    } & components["schemas"]["NothingAsked"]) | ({
                        /** @constant */
                        mode: "evaluation";
                    } & components["schemas"]["NothingAsked"]);
                };
            };
        };
        responses: {
            /** @description What was asked for, or why it cannot be had. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error?: string;
                        output?: components["schemas"]["SuggestionsTold"] | components["schemas"]["CountsTold"] | components["schemas"]["AcceptTold"] | components["schemas"]["RefuseTold"] | components["schemas"]["UnsayTold"] | components["schemas"]["SceneTold"] | components["schemas"]["PicturesTold"] | components["schemas"]["Begun"] | components["schemas"]["JobTold"] | components["schemas"]["JobsTold"] | components["schemas"]["CancelTold"] | components["schemas"]["ErrorsTold"] | components["schemas"]["RunsTold"] | components["schemas"]["ModelsTold"] | components["schemas"]["DoctorTold"] | components["schemas"]["OverviewTold"] | components["schemas"]["EvaluationTold"];
                    };
                };
            };
        };
    };
}
