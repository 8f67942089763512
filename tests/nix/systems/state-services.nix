# A server with more services than one should have, all of whose state is backed up.
{ lib, pkgs, ... }:

{
  networking.hostName = "atlas";

  hwc.system.services.backup = {
    enable = true;
    local.enable = true;
    state = {
      enable = true;
      ignore = [ "/var/lib/transmission/Downloads" ];
      sqlite = [ "/srv/app/app.db" ];
    };
    preBackupScript = "echo of the user";
  };

  services = {
    bazarr.enable = true;
    bitwarden_rs.enable = true;
    chrony.enable = true;
    consul.enable = true;
    deluge.enable = true;
    dovecot2.enable = true;
    etcd.enable = true;
    fail2ban.enable = true;
    gitea.enable = true;
    gitolite = {
      enable = true;
      adminPubkey = "ssh-ed25519 AAAA ann";
    };
    grafana.enable = true;
    home-assistant.enable = true;
    influxdb.enable = true;
    ipfs.enable = true;
    jackett.enable = true;
    jellyfin.enable = true;
    jenkins.enable = true;
    lidarr.enable = true;
    matrix-synapse = {
      enable = true;
      server_name = "example.org";
      database_type = "sqlite3";
    };
    mongodb.enable = true;
    mosquitto = {
      enable = true;
      users = { };
    };
    murmur.enable = true;
    mysql = {
      enable = true;
      package = pkgs.mariadb;
    };
    openssh.enable = true;
    postfix.enable = true;
    postgresql.enable = true;
    printing.enable = true;
    prometheus.enable = true;
    rabbitmq.enable = true;
    radarr.enable = true;
    radicale.enable = true;
    redis.enable = true;
    samba.enable = true;
    sonarr.enable = true;
    syncthing.enable = true;
    tailscale.enable = true;
    tor.enable = true;
    transmission.enable = true;
  };

  hardware.bluetooth.enable = true;
  networking.networkmanager.enable = true;

  users.users.ann = {
    isNormalUser = true;
    home = "/data/people/ann";
  };
  users.users.bob.isNormalUser = true;

  fileSystems."/mnt/backup" = {
    device = "/dev/disk/by-label/backup";
    fsType = "ext4";
    options = [ "nofail" ];
  };
}
