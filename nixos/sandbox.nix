# What each service may do: as little as its job needs. The directives are those that
# `backup systemd-units` prints, for the reasons given there (planner/src/units/sandbox.rs); a test
# compares the two.
{
  # hwc.system.services.backup
  cfg,
  # The rclone configuration, or null.
  configFile,
  lib,
}:

let
  escape = import ./escape.nix;
  inherit (cfg) local monitoring;

  network = "AF_UNIX AF_INET AF_INET6 AF_NETLINK";

  # What holds for all.
  ofAll = {
    UMask = "0077";
    PrivateMounts = true;
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    LockPersonality = true;
    RestrictNamespaces = true;
    RestrictRealtime = true;
    KeyringMode = "private";
    SystemCallArchitectures = "native";
    SystemCallErrorNumber = "EPERM";
  };

  # What holds for all that run none of the user's scripts.
  strict = {
    ProtectSystem = "strict";
    ProtectHome = "read-only";
    PrivateTmp = !usesTmp;
    NoNewPrivileges = true;
    MemoryDenyWriteExecute = true;
  };

  # What holds for all that store nothing.
  reader = {
    PrivateDevices = true;
    RemoveIPC = true;
    RestrictSUIDSGID = true;
    ProtectProc = "invisible";
    RestrictAddressFamilies = network;
  };

  # Whether anything that is read or written lies where PrivateTmp would hide it.
  usesTmp =
    let
      below = path: builtins.match "(/var)?/tmp(/.*)?" path != null;
      covers = path: path == "/" || path == "/var";
    in
    lib.any (path: below path || covers path) local.sources
    || below local.mountPoint
    || below monitoring.logPath
    || (configFile != null && below configFile);

  # Where it may write: its state, its logs, and these. A folder that is missing must not keep the
  # unit from starting: the program says it better.
  places =
    more:
    let
      logs = builtins.match "/var/log/(.*)" monitoring.logPath;
      writes = lib.optional (logs == null) monitoring.logPath ++ more;
    in
    {
      StateDirectory = "backup";
      StateDirectoryMode = "0700";
    }
    // lib.optionalAttrs (logs != null) {
      LogsDirectory = escape.word (lib.head logs);
      LogsDirectoryMode = "0750";
    }
    // lib.optionalAttrs (writes != [ ]) {
      ReadWritePaths = map (path: "-${escape.word path}") writes;
    };

  # The file is replaced by a rename. Nobody makes the whole system writable for it.
  metrics = lib.optional (
    monitoring.prometheusFile != null && dirOf monitoring.prometheusFile != "/"
  ) (dirOf monitoring.prometheusFile);
in
{
  # It runs the user's scripts, which may do much, but none of this.
  coordinator =
    ofAll
    // {
      ProtectSystem = "full";
      RestrictSUIDSGID = true;
      CapabilityBoundingSet = lib.concatStringsSep " " [
        "~CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_TIME CAP_SYS_BOOT CAP_SYSLOG"
        "CAP_SYS_PACCT CAP_SYS_PTRACE CAP_SYS_TTY_CONFIG CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_CHROOT"
        "CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_BPF CAP_PERFMON CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_LEASE"
        "CAP_IPC_LOCK CAP_LINUX_IMMUTABLE CAP_MKNOD CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_AUDIT_WRITE"
        "CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_NET_BROADCAST"
      ];
      SystemCallFilter = "@system-service";
      RestrictAddressFamilies = network;
    }
    // places metrics;

  # It reads everything and writes to the destination; the network is not there.
  local =
    ofAll
    // strict
    // {
      PrivateNetwork = true;
      IPAddressDeny = "any";
      RestrictAddressFamilies = "AF_UNIX";
      CapabilityBoundingSet = lib.concatStringsSep " " [
        "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID"
        "CAP_MKNOD CAP_SETFCAP CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_SYS_RESOURCE"
      ];
      SystemCallFilter = "@system-service";
      DevicePolicy = "closed";
      # Device nodes are stored, not used.
      DeviceAllow = [
        "block-* m"
        "char-* m"
      ];
    }
    // places [ local.mountPoint ];

  # It reads the snapshots and talks to the network.
  cloud =
    ofAll
    // strict
    // reader
    // {
      CapabilityBoundingSet = "CAP_DAC_READ_SEARCH";
      SystemCallFilter = [
        "@system-service"
        "~@privileged @resources"
      ];
      # Where rclone keeps what it may lose.
      CacheDirectory = "backup";
      CacheDirectoryMode = "0700";
      Environment = "XDG_CACHE_HOME=%C/backup";
    }
    // places [ ];

  # It reads everything. The destination may be written, which it does not do: a disk that a sandbox
  # makes read-only looks like one that became so by itself. Without SYS_ADMIN the kernel hides
  # trusted.* attributes, which then look damaged.
  health =
    ofAll
    // strict
    // reader
    // {
      CapabilityBoundingSet = "CAP_DAC_READ_SEARCH CAP_SYS_ADMIN";
      SystemCallFilter = [
        "@system-service"
        "~@privileged @resources"
      ];
    }
    // places (metrics ++ lib.optional local.enable local.mountPoint);
}
