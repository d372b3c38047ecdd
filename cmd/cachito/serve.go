package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/logging"
)

// gcPercent trades a few percent of one processor for a third of the memory: what lives is a few megabytes,
// what answers leave behind is many. GOGC in the environment wins.
const gcPercent = 40

type serveCmd struct {
	Listen   string `name:"listen" placeholder:"HOST:PORT" help:"Where to listen (CACHITO_LISTEN); port 0 takes a free one."`
	DataDir  string `name:"data-dir" placeholder:"DIR" help:"Database, caches and bundles (CACHITO_DATA_DIR)."`
	PortFile string `name:"port-file" placeholder:"FILE" help:"Write the port there once the service listens."`
}

// Help adds examples.
func (serveCmd) Help() string {
	return `The API, its workers, the database and the storage in one process. It ends cleanly on SIGTERM and
SIGINT; requests that were running go on at the next start, after kill -9 too.
Everything else is set by environment variables: see cachito settings.

Examples:
  cachito serve
  cachito serve --listen 127.0.0.1:0 --port-file port --data-dir /var/lib/cachito
  CACHITO_PACKAGE_MANAGERS=gomod CACHITO_NETRC=/etc/cachito/netrc cachito serve`
}

// Run serves until a signal comes.
func (c serveCmd) Run(ctx context.Context, stdout io.Writer) error {
	cfg, err := loadConfig(map[string]string{"CACHITO_LISTEN": c.Listen, "CACHITO_DATA_DIR": c.DataDir})
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	log := logging.New(os.Stderr, cfg.LogFormat, cfg.LogLevel)
	tlsConfig, err := newTLS(cfg)
	if err != nil {
		return err
	}
	home, err := openService(cfg, log)
	if err != nil {
		return err
	}
	warnOfLogins(ctx, log, cfg)
	for _, name := range config.Unknown(os.Environ(), "CACHITO_API", "CACHITO_API_HEADER") {
		log.WarnContext(ctx, "no such setting, ignored", "setting", name)
	}
	defer func() {
		if err := home.close(); err != nil {
			log.ErrorContext(ctx, "closing", "error", err)
		}
	}()

	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("CACHITO_LISTEN: %w", err)
	}
	var metrics net.Listener
	if home.metrics != nil {
		if metrics, err = net.Listen("tcp", cfg.MetricsListen); err != nil {
			return errors.Join(fmt.Errorf("CACHITO_METRICS_LISTEN: %w", err), listener.Close())
		}
		log.InfoContext(ctx, "metrics for Prometheus", "address", metrics.Addr().String(), "path", "/metrics")
	}
	server := newHTTPServer(home.handler, defaultLimits, tlsConfig, log)
	port := listener.Addr().(*net.TCPAddr).Port
	if c.PortFile != "" {
		if err := writeWhole(c.PortFile, strconv.Itoa(port)+"\n"); err != nil {
			return errors.Join(fmt.Errorf("writing the port file: %w", err), listener.Close())
		}
	}
	greet(stdout, cfg, port)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return home.pipeline.Run(ctx) })
	group.Go(func() error {
		if err := server.serve(ctx, listener); err != nil {
			return fmt.Errorf("serving: %w", err)
		}
		return nil
	})
	if metrics != nil {
		scraped := newHTTPServer(home.metrics.Handler(), defaultLimits, nil, log)
		group.Go(func() error {
			if err := scraped.serve(ctx, metrics); err != nil {
				return fmt.Errorf("serving metrics: %w", err)
			}
			return nil
		})
	}
	err = group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// greet tells people where the service is and what to do with it.
func greet(w io.Writer, cfg config.Config, port int) {
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil || host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	scheme := "http://"
	if cfg.TLSCert != "" {
		scheme = "https://"
	}
	url := scheme + net.JoinHostPort(host, strconv.Itoa(port))
	fmt.Fprintf(w, `Cachito is at %[1]s (data in %[2]s). Try:

  curl -s %[1]s/api/v1/requests -H 'Content-Type: application/json' \
    -d '{"repo": "https://github.com/spf13/cobra", "ref": "adbc8813901bba65827259daa8e22ff94ec1f30e", "pkg_managers": ["gomod"]}'
  CACHITO_API=%[1]s cachito wait 1 && CACHITO_API=%[1]s cachito download 1

`, url, cfg.DataDir)
	if !cfg.LoginDisabled && !cfg.KnowsUsers() {
		fmt.Fprintln(w, "Nobody can send requests: set CACHITO_KERBEROS_KEYTAB, CACHITO_TLS_CLIENT_CA, CACHITO_IDENTITY_HEADER behind an authenticating proxy, or LOGIN_DISABLED=true.")
	}
}

// loadConfig reads the settings; flags that were given win over the environment.
func loadConfig(flags map[string]string) (config.Config, error) {
	return config.Load(func(name string) string {
		if v := flags[name]; v != "" {
			return v
		}
		return os.Getenv(name)
	})
}

// writeWhole makes a small file appear with all of its content: readers poll for it.
func writeWhole(path, content string) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = io.Copy(temp, strings.NewReader(content))
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}
