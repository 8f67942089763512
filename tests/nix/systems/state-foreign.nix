# State that other modules declare (impermanence, Clan), containers, a folder that is on another file
# system, and what is left in no backup and therefore told.
{ lib, ... }:

let
  anything = lib.mkOption {
    type = lib.types.anything;
    default = { };
  };
in
{
  # Stand-ins: of the real modules only what is asked of them.
  options = {
    environment.persistence = anything;
    clan.core.state = anything;
    services.switchboard = {
      enable = lib.mkEnableOption "a service whose configuration is a set of files";
      configDir = anything;
    };
  };

  config = {
    networking.hostName = "atlas";

    hwc.system.services.backup = {
      enable = true;
      local = {
        enable = true;
        sources = [
          "/home"
          "/srv/wiki/pages"
        ];
        excludePatterns = [
          "/srv/forum/uploads"
          "*.tmp"
        ];
      };
      state = {
        enable = true;
        databases = "none";
        ignore = [ "/var/lib/docker" ];
      };
    };

    environment.persistence."/persist" = {
      directories = [
        "/var/lib/nixos"
        { directory = "/var/lib/app"; }
      ];
      files = [ "/etc/machine-id" ];
      users.ann.directories = [ "Documents" ];
    };

    clan.core.state.wiki = {
      folders = [ "/srv/wiki" ];
      preBackupScript = "echo export";
    };

    services.switchboard = {
      enable = true;
      configDir."dialplan.xml" = "a file";
    };
    services.postgresql.enable = true;
    virtualisation.docker.enable = true;
    virtualisation.oci-containers.containers.forum = {
      image = "forum";
      volumes = [
        "/srv/forum/uploads:/uploads"
        "/etc/localtime:/etc/localtime:ro"
        "data:/data"
      ];
    };
    containers.shop.config = { };

    users.users.ann.isNormalUser = true;
    users.users.bob.isNormalUser = true;

    systemd.services."job@" = {
      serviceConfig.StateDirectory = "job-%i";
    };
    systemd.tmpfiles.rules = [
      "d /var/lib/kept 0700 root root - -"
      "d '/var/lib/quoted' 0700 root root - -"
      "d /var/lib/cleaned 0700 root root 10d -"
    ];

    fileSystems."/home/bob" = {
      device = "/dev/disk/by-label/bob";
      fsType = "ext4";
    };
    fileSystems."/mnt/backup" = {
      device = "/dev/disk/by-label/backup";
      fsType = "ext4";
      options = [ "nofail" ];
    };
  };
}
