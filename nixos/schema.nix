# What the program's own JSON Schema says of each key of config.json: its default, its description
# and what it may be. So these exist once, in the Rust types, and an option cannot drift from its
# key. Plain `builtins`, no lib.
let
  root = builtins.fromJSON (builtins.readFile ../schema/json/config.json);

  # The text behind "#/$defs/".
  name = ref: builtins.substring 8 (-1) ref;

  follow = node: if node ? "$ref" then root."$defs".${name node."$ref"} else node;

  isNull = node: (node.type or null) == "null";

  # A key that may be null is either `anyOf: [X, null]` or `type: [X, "null"]`.
  read =
    node:
    let
      target = follow node;
      alternatives = map follow (target.anyOf or [ ]);
      real = builtins.filter (alternative: !isNull alternative) alternatives;
      body = if target ? anyOf then builtins.head real else target;
      words = if builtins.isList (body.type or null) then body.type else [ (body.type or null) ];
      kinds = builtins.filter (word: word != "null") words;
    in
    {
      description = node.description or target.description or "";
      nullable = builtins.elem "null" words || builtins.any isNull alternatives;
      # "boolean", "integer", "string", "array", "object"; two of them in one case.
      inherit kinds;
      format = body.format or null;
      choices =
        if body ? enum then
          body.enum
        else if body ? oneOf then
          map (choice: choice.const) body.oneOf
        else
          null;
      item = if body ? items then read body.items else null;
      # What each value is where the names of the keys are free.
      value = if body ? additionalProperties."$ref" then read body.additionalProperties else null;
      # The type of destination that alone has it, or null.
      of = node.x-of or null;
      keys = if body ? properties then builtins.mapAttrs (_: read) body.properties else null;
      required = body.required or [ ];
    }
    // (if node ? default then { inherit (node) default; } else { });
in
(read root).keys
