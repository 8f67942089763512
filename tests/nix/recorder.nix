# The options as they are declared, by path: read through a stand-in lib that judges nothing and
# only notes. For a Nix without nixpkgs; where a real lib is, options.rs asks that.
let
  note = kind: more: { inherit kind; } // more;

  types = {
    bool = note "bool" { };
    str = note "str" { };
    lines = note "lines" { };
    path = note "path" { };
    package = note "package" { };
    int = note "int" { };
    attrsOf = of: note "attrsOf" { inherit of; };
    oneOf = of: note "oneOf" { inherit of; };
    ints = {
      u32 = note "u32" { };
      unsigned = note "unsigned" { };
    };
    enum = values: note "enum" { enum = values; };
    nullOr = of: of // { nullable = true; };
    listOf = of: note "listOf" { inherit of; };
    either =
      a: b:
      note "either" {
        of = [
          a
          b
        ];
      };
    addCheck = of: _: of;
    coercedTo =
      _: _: final:
      final;
    submodule = module: note "submodule" { inherit (module) options; };
  };

  lib = {
    inherit types;
    inherit (builtins)
      filter
      elem
      elemAt
      head
      mapAttrs
      concatStringsSep
      ;
    mkOption = declared: declared // { _type = "option"; };
    literalExpression = text: { literal = text; };
    optionalAttrs = condition: attrs: if condition then attrs else { };
  };

  options = (import ../../nixos/options.nix { inherit lib; }).options.hwc.system.services.backup;

  entry =
    option:
    {
      description = option.description or "";
      hasExample = option ? example;
      example = option.example or null;
      enum = option.type.enum or null;
    }
    // (if option ? default then { inherit (option) default; } else { });

  # One for each option; a channel is its own options, as in the schema.
  flatten =
    prefix: set:
    builtins.concatLists (
      builtins.attrValues (
        builtins.mapAttrs (
          name: value:
          let
            path = if prefix == "" then name else "${prefix}.${name}";
          in
          if (value._type or "") != "option" then
            flatten path value
          else if value.type.kind == "submodule" then
            flatten path value.type.options
          else if value.type.kind == "attrsOf" && value.type.of.kind or null == "submodule" then
            flatten "${path}.<name>" value.type.of.options
          else
            [
              {
                name = path;
                value = entry value;
              }
            ]
        ) set
      )
    );
in
builtins.listToAttrs (flatten "" options)
