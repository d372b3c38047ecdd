package wiring

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/kerberos"
	"github.com/cachito-serverless/cachito/shared/pipeline"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Transport is how callers reach the API.
type Transport struct {
	// MaxAnswerBytes is api.Config.MaxAnswerBytes.
	MaxAnswerBytes int64
	// Identify is api.Deps.Identify.
	Identify func(r *http.Request) string
}

// API makes the handler of the API and its pages.
func API(cfg config.Config, known []resolver.Descriptor, a Adapters, t Transport, log *slog.Logger) (http.Handler, error) {
	enabled, err := Enabled(cfg, known)
	if err != nil {
		return nil, err
	}
	if t.MaxAnswerBytes > 0 && cfg.Download == config.DownloadStream {
		return nil, settingf("CACHITO_DOWNLOAD: functions cannot stream: want %s or %s", config.DownloadAuto, config.DownloadRedirect)
	}
	negotiator, err := newNegotiator(cfg)
	if err != nil {
		return nil, err
	}
	// It runs no step: what becomes stale by PATCH goes the way of what the reaper finds.
	expirer, err := pipeline.New(
		pipeline.Settings{Lifetime: cfg.Lifetime, LifetimeFailed: cfg.LifetimeFailed},
		pipeline.Deps{Store: a.Store, Queue: a.Queue, Blobs: a.Blobs, Log: log, Clock: time.Now})
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(enabled))
	for _, d := range enabled {
		names = append(names, d.Name)
	}
	return api.New(api.Config{
		PackageManagers: names, DefaultPackageManagers: cfg.DefaultPackageManagers, MutuallyExclusive: cfg.MutuallyExclusive,
		MaxPerPage: cfg.MaxPerPage, LogsEnabled: cfg.LogsEnabled,
		UserRepresentatives: cfg.UserRepresentatives, WorkerUsernames: cfg.WorkerUsernames,
		LoginDisabled: cfg.LoginDisabled, TrustUser: cfg.TrustUser, IdentityHeader: cfg.IdentityHeader, TrustedProxies: cfg.TrustedProxies,
		PublicURL: cfg.PublicURL, TrustForwarded: cfg.TrustForwarded, Download: cfg.Download,
		MaxAnswerBytes: t.MaxAnswerBytes, LargeAnswers: cfg.LargeAnswers, Version: Version(),
	}, api.Deps{
		Store: a.Store, Queue: a.Queue, Blobs: a.Blobs, Managers: known, Steps: pipeline.Steps, Accept: a.Accept,
		Expire: expirer.Expire, Health: health(a, log), Identify: t.Identify, Negotiator: negotiator,
		Metrics: a.Telemetry.Metrics, Tracer: a.Telemetry.Tracer, Log: log, Clock: time.Now,
	})
}

// newNegotiator makes what judges Kerberos tickets; nil without a keytab.
func newNegotiator(cfg config.Config) (api.Negotiator, error) {
	if cfg.KerberosKeytab == "" {
		return nil, nil
	}
	keytab, err := kerberos.LoadKeytab(cfg.KerberosKeytab)
	if err != nil {
		return nil, settingf("CACHITO_KERBEROS_KEYTAB: %v", err)
	}
	acceptor, err := kerberos.New(keytab, kerberos.Settings{Service: cfg.KerberosService, Realms: cfg.KerberosRealms, MaxSkew: cfg.KerberosMaxSkew})
	if err != nil {
		return nil, settingf("CACHITO_KERBEROS_SERVICE, CACHITO_KERBEROS_KEYTAB: %v", err)
	}
	return acceptor, nil
}
