//! What each code means, for `podferry explain`.

/// A code of a diagnostic, in short and at length.
#[derive(Debug)]
pub struct Code {
    /// `E0002`.
    pub code: &'static str,
    /// What it says, in a few words.
    pub title: &'static str,
    /// What it means, why it is wrong, and what to do.
    pub text: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal, $text:literal;)*) => {
        $(#[doc = $title] pub(super) const $name: &str = $code;)*
        /// All codes.
        pub const CODES: &[Code] = &[$(Code { code: $code, title: $title, text: $text }),*];
    };
}

codes! {
    MALFORMED = "E0001", "the file is not YAML",
        "The text cannot be parsed as one YAML document. Nothing after the marked place was looked at, so mend this first \
         and lint again. Frequent causes: a tab in the indentation, a missing space after a colon, an unclosed bracket, a \
         value that begins with `*`, `&`, `!` or `{` and is not quoted. A file holds one scenario.";
    UNKNOWN_KEY = "E0002", "unknown key",
        "The key does not belong here. Keys are written in camelCase (`opTimeout`) and are never ignored: a mistyped key \
         that was skipped silently would leave a check undone. Nor is `state:running` a key with its value: a space is wanted after \
         the colon.";
    MISSING_KEY = "E0003", "a key is missing",
        "Something cannot be left out here, since there is no value that would be right for everyone.";
    WRONG_SHAPE = "E0004", "a mapping, list or value of another kind is wanted",
        "YAML has mappings (`key: value`), lists (`- item`) and single values, and here stands one where another is \
         wanted. Check the indentation: a line that is indented too little ends the mapping above it.";
    INVALID_VALUE = "E0005", "the value cannot be understood",
        "Sizes are written `512`, `64Ki`, `64Mi`, `1Gi`; times `250ms`, `1s`, `2m`; rates `1000/s`; counts `200`; names \
         in lower case with digits and dashes. Where there is a fixed set of words, the message lists it.";
    REPEATED_KEY = "E0006", "a key is given twice",
        "YAML keeps one value a key; which of the two was meant cannot be known. This is also how two workloads or two \
         clients of one name are found.";
    NOT_A_SCENARIO = "E0007", "not a scenario of a version that is known",
        "A scenario begins with `apiVersion: podferry/v1alpha1` and `kind: Scenario`. A file made for another version of \
         the language is refused, not guessed at.";
    NO_ACTION = "E0008", "a step does one thing",
        "A step is a mapping with exactly one action (`deploy`, `client`, `wait`, `capture`, `freeze`, `thaw`, \
         `checkpoint`, `transfer`, `tamper`, `restore`, `migrate`, `remove`, `restart`, `copyVolume`, `fault`, `mend`), and \
         beside it, if wanted, `id`, `name`, `timeout`, `expect` and `during`. A check likewise names exactly one thing to \
         look at.";
    BAD_EXPRESSION = "E0009", "an expression is not understood",
        "An expression is a whole value, `${...}`: `${matrix.data}`, `${params.count}`, `${matrix.data * 2}`. It refers to axes \
         of this scenario's matrix and to its parameters, and to nothing else (`engine` in conditions). There is no \
         templating inside of texts, and names of instances, nodes, clients and so on are fixed, since what happens in a \
         scenario must be checkable before it runs. Values with units are written as texts to a function: `size(\"64Mi\")`, \
         `time(\"2s\")`, `rate(\"100/s\")`; an axis with a dash in its name is `matrix[\"data-size\"]` unless it stands alone.";
    UNKNOWN_ACTION = "E0010", "unknown step or check",
        "There is no such action or check. Steps: `deploy`, `client`, `wait`, `capture`, `freeze`, `thaw`, `checkpoint`, \
         `transfer`, `tamper`, `restore`, `migrate`, `remove`, `restart`, `copyVolume`, `fault`, `mend`. Checks: `counter`, \
         `ackedWrites`, `sameProcess`, `exclusive`, `instance`, `held`, `log`, `archive`, `error`, \
         `faster`, `workLost`, `budget`.";
    UNKNOWN_NAME = "E0101", "unknown name",
        "The scenario has no workload, client, volume, instance, capture, checkpoint, node or step of this name. Instances come \
         from `deploy`, `restore` and `migrate`; captures from `capture`; checkpoints from `checkpoint` and `tamper`; \
         nodes from `nodes` (`a` and `b` if it is left out); a migrated instance is named `NAME-moved` unless `as` names \
         it otherwise.";
    UNKNOWN_WORKLOAD = "E0102", "unknown kind of workload",
        "The catalogue has no program of this name. `use: archive` with `with: {archive: FILE}` takes an image of your own.";
    BAD_SETTING = "E0103", "a workload's settings are wrong",
        "Under `with` stand the settings of the program that `use` names; each program has its own. One is unknown, \
         missing, or its value cannot be understood; or it is a file that is not there. Its path is one from the folder of the \
         scenario's own file.";
    UNKNOWN_ENGINE = "E0104", "unknown engine",
        "Engines are `cri` (containerd over CRI), `runc` and `crun` (called directly).";
    TOO_EARLY = "E0105", "used before it is there",
        "Steps are done in order. This one uses something that a later step makes.";
    TOO_LATE = "E0106", "used after it is gone",
        "An instance has ended after `wait: {end: ...}` and after a `restart` of its node. It is gone after `remove`, after a `migrate` whose source is stopped or fenced, and after a \
         `checkpoint` whose source is stopped or fenced. An instance of a step that is expected to fail never is there.";
    NAME_TAKEN = "E0107", "a name is given twice",
        "Instances, captures, checkpoints and step ids each have names of their own that stay taken for the whole \
         scenario, since evidence is kept by name.";
    CLIENT_ORDER = "E0108", "a client is started or stopped out of order",
        "A client is started once and stopped at most once after that; at the end of the scenario those still running are \
         stopped anyway. Waiting for answers needs a client that runs.";
    NO_SUCH_CELL = "E0109", "a cell that is not in the matrix",
        "`exclude` takes cells away: each entry must match at least one, by axes and values of this matrix. `include` adds \
         whole cells: each entry gives every axis a value.";
    ALREADY_THERE = "E0110", "it is there already, or not yet",
        "A transfer or a migration to the node that the thing is on would move nothing. A restore on a node needs the \
         checkpoint there: transfer it first. (Images of `medium: image` are pulled by any node.)";
    CANNOT_PASS = "E0111", "a check that can never pass",
        "What the scenario does makes it impossible for this check to pass, whatever the software under test does: it \
         would only ever report a mistake of the scenario.";
    BAD_WAIT = "E0112", "a wait without an event",
        "Wait for answers of a client, for a counter, for memory, or for an end. A fixed `time` makes runs slow on fast \
         machines and flaky on slow ones; it is for scenarios in which time itself is the subject, and says so with `reason`.";
    NOTHING_TO_DO = "E0113", "nothing is done or nothing is judged",
        "A scenario needs at least one step, and at least one check or expected error; a matrix needs at least one cell. \
         Otherwise it would pass without having shown anything.";
    MISMATCH = "E0114", "a client or wait that does not fit the workload",
        "Each program can be talked to by some kinds of clients only: a `redis-writer` needs redis, a `log-follower` a \
         program that logs numbers. A counter can be waited for only where the program tells one.";
    UNGUARDED = "E0115", "a bare call and a guarded one are mixed up",
        "`guard: false` makes the engine's bare call, as a client does that knows none of the stack's traps; what it \
         leaves behind is what such a scenario shows. `deadline`, `cancel` and `over` belong to it alone, and what the \
         harness does around a guarded checkpoint (`source`, `medium`) does not.";
    BAD_FAULT = "E0116", "a fault that is not whole, or that can never strike",
        "A `fault` breaks exactly one thing on one node, with what belongs to that: `kill: shim` and `kill: workload` need \
         `of`, a `runtimeCall` needs `delay` or `fail`. `during` ties a fault to a stage that its step has: a `checkpoint` \
         has `dump` and `archive`, a `transfer` has `transfer`, a `restore` has `restore`, a `migrate` has all of them.";
    BAD_STRATEGY = "E0117", "a strategy and something that contradicts it",
        "`strategy` says how the state of an instance gets to the other node, and with that what becomes of the source: \
         `live-copy` stops it when the copy answers, all others fence it, so `source` has no place beside it. `stream`, \
         `post-copy`, `placed` and `pre-copy` make no checkpoint that could be kept as an image or sent by another way: \
         `medium` and `over` belong to `stop-copy` and `live-copy`.";
    NO_VALUE = "E0118", "an expression without a value that fits",
        "The expression is well formed, and in some cell of the matrix it has no value (a division by zero, a size and a time \
         that are added, a size below zero), or one of another kind than is wanted here: a size where a count is wanted, say. \
         The label names the cell. Sizes, times and rates keep their units: they are added to their like, multiplied and \
         divided by numbers, and divided by their like, which gives a number.";
    BAD_GROUP = "E0119", "a group of steps is used wrongly",
        "`- use: NAME` stands for the steps of `stepGroups.NAME`, with `with` for their arguments: each that has no default must \
         be given, and none that the group does not name. `${args.NAME}` stands for an argument in the steps of the group, as a \
         whole value, also where a name is wanted. A group uses no other group. What is wrong in a step of a group is told \
         at the step, with the place of the use.";
    FEW_REPETITIONS = "E0201", "a percentile of too few repetitions",
        "A p95 of fewer than 20 repetitions, or a p99 of fewer than 100, is the maximum by another name. Raise \
         `measure.repetitions`, or bound `max`.";
    UNUSED = "E0202", "something is declared and never used",
        "A workload that is never deployed, a client that is never started, an axis that no value refers to: most often a \
         step is missing.";
}

/// The text of a code of a diagnostic (`E0101`), or of the name of an error class (`invalid-archive`).
pub fn explain(code: &str) -> Option<&'static str> {
    let wanted = code.trim();
    let class = super::classes::ALL.into_iter().find(|c| c.name().eq_ignore_ascii_case(wanted));
    CODES
        .iter()
        .find(|c| c.code.eq_ignore_ascii_case(wanted))
        .map(|c| c.text)
        .or_else(|| class.map(super::classes::text))
}

/// The classes of errors, each with what it means in a sentence.
pub fn classes() -> impl Iterator<Item = (&'static str, &'static str)> {
    super::classes::ALL.into_iter().map(|class| {
        let text = super::classes::text(class);
        (class.name(), text.find(". ").map_or(text, |end| &text[..=end]))
    })
}
