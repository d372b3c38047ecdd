package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/cachito-serverless/cachito/shared/client/clienttest"
)

// serve starts the embedded service with fresh data on a free port.
func (s *story) serve(ctx context.Context) error {
	s.out.chapter("The service: everything embedded, on a free loopback port")
	started := time.Now()
	// Loopback is refused as a source of repositories unless the operator names it.
	service, err := clienttest.Start(ctx, s.binary, filepath.Join(s.dir, "data"), "CACHITO_ALLOW_HOSTS="+s.repo.server.Host())
	if err != nil {
		return err
	}
	s.service = service
	s.out.fact("listening", "%s after %.0f ms", service.URL, float64(time.Since(started).Microseconds())/1000)
	return nil
}
