# The binary, and the short names that people type. Nothing is wrapped: what a run calls is found
# on the PATH of whoever runs it, which the units set.
{ lib, rustPlatform }:

let
  root = ../.;
  manifest = lib.importTOML (root + "/Cargo.toml");
in
rustPlatform.buildRustPackage {
  pname = manifest.package.name;
  inherit (manifest.workspace.package) version;

  # Only what cargo reads, so that a change of a README or a .nix file builds nothing anew.
  src = lib.fileset.toSource {
    inherit root;
    fileset = lib.fileset.unions [
      (root + "/Cargo.lock")
      (root + "/Cargo.toml")
      (root + "/executor")
      (root + "/planner")
      (root + "/schema")
      (root + "/src")
      # Named in Cargo.toml, so cargo wants to see them even where it builds none.
      (lib.fileset.maybeMissing (root + "/tests"))
    ];
  };

  cargoLock.lockFile = root + "/Cargo.lock";

  # The binary of the root package, not the three libraries' as well.
  cargoBuildFlags = [ "--package=backup" ];

  # Most tests want root, loop devices or strace, which a build sandbox has not: ./test runs them.
  doCheck = false;

  postInstall = ''
    for name in now status restore verify; do
      ln -s backup "$out/bin/backup-$name"
    done
  '';

  meta = {
    inherit (manifest.package) description;
    homepage = manifest.workspace.package.repository;
    license = with lib.licenses; [
      mit
      asl20
    ];
    mainProgram = "backup";
    platforms = lib.platforms.linux;
  };
}
