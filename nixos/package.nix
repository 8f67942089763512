# The binary, and the short names that people type. Nothing is wrapped: what a run calls is found
# on the PATH of whoever runs it, which the units set.
{
  lib,
  rustPlatform,
  stdenv,
  installShellFiles,
}:

let
  root = ../.;
  # What file managers call, apart from what cargo reads.
  desktop = root + "/desktop";
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
      (root + "/browse")
      (root + "/executor")
      (root + "/planner")
      (root + "/report")
      (root + "/schema")
      (root + "/src")
      # Named in Cargo.toml, so cargo wants to see them even where it builds none.
      (root + "/tests")
    ];
  };

  cargoLock.lockFile = root + "/Cargo.lock";

  # The binary of the root package, not the libraries' as well.
  cargoBuildFlags = [ "--package=backup" ];

  # Most tests want root, loop devices or strace, which a build sandbox has not: ./test runs them.
  doCheck = false;

  nativeBuildInputs = [ installShellFiles ];

  # The program writes its own completions and pages, which needs a machine that can run it.
  postInstall = ''
    for name in now status restore verify; do
      ln -s backup "$out/bin/backup-$name"
    done
    install -D -m 755 ${desktop}/backup-previous-versions --target-directory "$out/bin"
    install -D -m 644 ${desktop}/applications/*.desktop --target-directory "$out/share/applications"
    install -D -m 755 ${desktop}/kde/*.desktop --target-directory "$out/share/kio/servicemenus"
    install -D -m 755 ${desktop}/nautilus/* --target-directory "$out/share/backup/nautilus"
  ''
  + lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    "$out/bin/backup" man --to man
    installManPage man/*
    for shell in bash fish zsh; do
      "$out/bin/backup" completions "$shell" > "backup.$shell"
    done
    installShellCompletion backup.{bash,fish,zsh}
    # bash and fish look for a file of the name that is completed; each completes all of them.
    for name in now status restore verify; do
      ln -s backup.bash "$out/share/bash-completion/completions/backup-$name.bash"
      ln -s backup.fish "$out/share/fish/vendor_completions.d/backup-$name.fish"
    done
  '';

  meta = {
    inherit (manifest.package) description;
    license = with lib.licenses; [
      mit
      asl20
    ];
    mainProgram = "backup";
    platforms = lib.platforms.linux;
  };
}
