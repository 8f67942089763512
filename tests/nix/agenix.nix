# As much of agenix as examples use: a secret's name, and where it is once it is decrypted. agenix
# itself is nobody's dependency here.
{ lib, ... }:

{
  options.age.secrets = lib.mkOption {
    default = { };
    type = lib.types.attrsOf (
      lib.types.submodule (
        { name, ... }:
        {
          options = {
            file = lib.mkOption { type = lib.types.path; };
            path = lib.mkOption {
              type = lib.types.str;
              default = "/run/agenix/${name}";
            };
          };
        }
      )
    );
  };
}
