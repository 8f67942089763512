# The SQLite databases of services that are known: for each service the files, from its options (`cfg`)
# and the folder that a unit keeps its state in (`state "unit"`). Where a service may use another kind of
# database its options are asked. A file that is not there yet is none.
{ state }:

let
  below = folder: map (name: "${toString folder}/${name}");
  # Whether an option says SQLite, or nothing.
  isSqlite =
    value:
    builtins.elem value [
      null
      ""
      "sqlite"
      "sqlite3"
    ];
  where = condition: files: if condition then files else [ ];
in
{
  actual = cfg: below (state "actual") [ "server-files/account.sqlite" ];
  audiobookshelf = cfg: below (state "audiobookshelf") [ "config/absdatabase.sqlite" ];
  bazarr = cfg: below (state "bazarr") [ "db/bazarr.db" ];
  bitwarden_rs =
    cfg: where (isSqlite (cfg.dbBackend or null)) (below (state "bitwarden_rs") [ "db.sqlite3" ]);
  calibre-web = cfg: below (state "calibre-web") [ "app.db" ];
  fail2ban = cfg: [ "/var/lib/fail2ban/fail2ban.sqlite3" ];
  forgejo = cfg: where (isSqlite (cfg.database.type or null)) [ cfg.database.path or "" ];
  gitea = cfg: where (isSqlite (cfg.database.type or null)) [ cfg.database.path or "" ];
  grafana =
    cfg:
    let
      database = cfg.settings.database or cfg.database or { };
    in
    where (isSqlite (database.type or null)) [ database.path or "" ];
  headscale =
    cfg:
    let
      database = cfg.settings.database or { };
    in
    where (isSqlite (database.type or null)) [ database.sqlite.path or "" ];
  home-assistant =
    cfg:
    where (isSqlite (cfg.config.recorder.db_url or null)) (
      below (cfg.configDir or "/var/lib/hass") [ "home-assistant_v2.db" ]
    );
  jellyfin = cfg: below (cfg.dataDir or "/var/lib/jellyfin") [
    "data/jellyfin.db"
    "data/library.db"
  ];
  jellyseerr = cfg: below (cfg.configDir or (state "jellyseerr")) [ "db/db.sqlite3" ];
  kavita = cfg: below (cfg.dataDir or "/var/lib/kavita") [ "config/kavita.db" ];
  komga = cfg: below (cfg.stateDir or "/var/lib/komga") [ "database.sqlite" ];
  lidarr = cfg: below (cfg.dataDir or "/var/lib/lidarr/.config/Lidarr") [ "lidarr.db" ];
  lldap = cfg: below (state "lldap") [ "users.db" ];
  matrix-synapse =
    cfg:
    where (isSqlite (cfg.settings.database.name or cfg.database_type or "psycopg2")) (
      below (cfg.dataDir or "/var/lib/matrix-synapse") [ "homeserver.db" ]
    );
  mealie =
    cfg: where (isSqlite (cfg.settings.DB_ENGINE or null)) (below (state "mealie") [ "mealie.db" ]);
  navidrome = cfg: below (cfg.settings.DataFolder or (state "navidrome")) [ "navidrome.db" ];
  nextcloud =
    cfg:
    where (isSqlite (cfg.config.dbtype or "pgsql")) (
      below (cfg.datadir or cfg.home or "/var/lib/nextcloud") [
        "data/${cfg.config.dbname or "nextcloud"}.db"
      ]
    );
  ntfy-sh = cfg: [
    (cfg.settings.auth-file or "")
    (cfg.settings.cache-file or "")
  ];
  paperless =
    cfg:
    where ((cfg.settings.PAPERLESS_DBHOST or cfg.extraConfig.PAPERLESS_DBHOST or null) == null) (
      below (cfg.dataDir or "/var/lib/paperless") [ "db.sqlite3" ]
    );
  photoprism =
    cfg:
    where (isSqlite (cfg.settings.PHOTOPRISM_DATABASE_DRIVER or null)) (
      below (cfg.storagePath or "/var/lib/photoprism") [ "index.db" ]
    );
  plex = cfg: below (cfg.dataDir or "/var/lib/plex") [
    "Plex Media Server/Plug-in Support/Databases/com.plexapp.plugins.library.db"
  ];
  prowlarr = cfg: below (cfg.dataDir or (state "prowlarr")) [ "prowlarr.db" ];
  radarr = cfg: below (cfg.dataDir or "/var/lib/radarr/.config/Radarr") [ "radarr.db" ];
  readarr = cfg: below (cfg.dataDir or "/var/lib/readarr") [ "readarr.db" ];
  sonarr = cfg: below (cfg.dataDir or "/var/lib/sonarr/.config/NzbDrone") [ "sonarr.db" ];
  trilium-server = cfg: below (cfg.dataDir or "/var/lib/trilium") [ "document.db" ];
  uptime-kuma = cfg: below (state "uptime-kuma") [ "kuma.db" ];
  vaultwarden =
    cfg:
    where (isSqlite (cfg.dbBackend or null)) (
      below (cfg.config.DATA_FOLDER or (state "vaultwarden")) [ "db.sqlite3" ]
    );
}
