# What tests/systemd destroys and restores: servers of PostgreSQL and MariaDB, a service with SQLite, one
# whose user is of the moment, certificates, keys and homes.
{ pkgs, ... }:

{
  networking.hostName = "lab";

  hwc.system.services.backup = {
    enable = true;
    local = {
      enable = true;
      useRsync = false;
      minSpaceGB = 0;
      sources = [ "/home" ];
    };
    state = {
      enable = true;
      sqlite = [ "/var/lib/counter/count.db" ];
    };
  };

  services.postgresql.enable = true;
  services.mysql = {
    enable = true;
    package = pkgs.mariadb;
  };
  services.bitwarden_rs.enable = true;
  services.openssh.enable = true;
  services.nginx = {
    enable = true;
    virtualHosts."example.org" = {
      enableACME = true;
      forceSSL = true;
    };
  };
  security.acme = {
    acceptTerms = true;
    email = "ann@example.org";
  };

  systemd.services.counter = {
    script = "echo 1 >> $STATE_DIRECTORY/count";
    serviceConfig = {
      Type = "oneshot";
      DynamicUser = true;
      StateDirectory = "counter";
    };
  };

  fileSystems."/mnt/backup" = {
    device = "/dev/disk/by-label/backup";
    fsType = "ext4";
    options = [ "nofail" ];
  };
}
