package main

import (
	"context"
	"io"
)

type sbomCmd struct {
	ID     int64  `arg:"" name:"request" help:"Request id."`
	Format string `name:"format" enum:"cyclonedx-1.4,cyclonedx-1.6,spdx-2.3" default:"cyclonedx-1.4" help:"${enum}; the first is Cachito's own form, components alone."`
	remote
}

// Help adds examples.
func (sbomCmd) Help() string {
	return `Examples:
  cachito sbom 7 --format spdx-2.3 > bundle.spdx.json
  cachito sbom 7 | jq '.components[].purl'`
}

// Run prints the software bill of materials.
func (c sbomCmd) Run(ctx context.Context, stdout io.Writer) error {
	service, err := c.client()
	if err != nil {
		return err
	}
	format := c.Format
	if format == "cyclonedx-1.4" {
		format = "" // upstream's services know no other, and no parameter for it
	}
	return service.SBOM(ctx, c.ID, format, stdout)
}
