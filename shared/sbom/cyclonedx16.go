package sbom

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// Names of the properties, in both formats.
const (
	// propertyType is the package manager's type: npm, gomod, go-package. A component may have several.
	propertyType = "cachito:type"
	// propertyUnverified is "true" where no lockfile vouched for the content.
	propertyUnverified = "cachito:unverified"
	// propertyBundled is "true" for what was delivered inside another dependency.
	propertyBundled = "cachito:bundled"
	// propertySHA256 is the digest of one of several files that stand for a component.
	propertySHA256 = "cachito:sha256"
	// propertyRequest is the id of a request.
	propertyRequest = "cachito:request"
	// propertyVersion is a version that is too long for its field: a URL, most likely.
	propertyVersion = "cachito:version"
)

// maxVersion is how many characters CycloneDX 1.6 allows a version.
const maxVersion = 1024

// properties says of a node what no format has a field for: names and values in turns.
func (g *graph) properties(n *node) [][2]string {
	var list [][2]string
	for i, name := range g.types {
		if n.types&(1<<i) != 0 {
			list = append(list, [2]string{propertyType, name})
		}
	}
	if n.roles&bundled != 0 {
		list = append(list, [2]string{propertyBundled, "true"})
	}
	if n.roles&unverified != 0 {
		list = append(list, [2]string{propertyUnverified, "true"})
	}
	if sums := n.sha256(); len(sums) > 1 {
		for _, sum := range sums {
			list = append(list, [2]string{propertySHA256, sum})
		}
	}
	return list
}

// cycloneDX16 writes https://cyclonedx.org/docs/1.6/json/.
func (d document) cycloneDX16(w io.Writer) error {
	b := bufio.NewWriterSize(w, 64<<10)
	metadata, err := json.Marshal(d.metadata())
	if err != nil {
		return fmt.Errorf("CycloneDX metadata: %w", err)
	}
	fmt.Fprintf(b, `{"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6", `+
		`"serialNumber": "urn:uuid:%s", "version": 1, "metadata": %s, "components": [`, d.serial, metadata)
	separator := ""
	one := func(v any) error {
		raw, err := json.Marshal(v)
		if err != nil {
			return err
		}
		b.WriteString(separator)
		separator = ", "
		_, err = b.Write(raw)
		return err
	}
	if len(d.requests) > 1 { // the only one is the document's subject
		for _, r := range d.requests {
			if err := one(sourceComponent(r)); err != nil {
				return fmt.Errorf("CycloneDX request %d: %w", r.ID, err)
			}
		}
	}
	for i := range d.nodes {
		if err := one(d.component(&d.nodes[i])); err != nil {
			return fmt.Errorf("CycloneDX component %s: %w", d.nodes[i].purl, err)
		}
	}
	b.WriteString(`], "dependencies": [`)
	if err := d.dependencies(b); err != nil {
		return err
	}
	b.WriteString("]}\n")
	return b.Flush()
}

func (d document) metadata() cdx.Metadata {
	m := cdx.Metadata{Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{
		{Type: cdx.ComponentTypeApplication, Name: toolName, Version: d.version},
	}}}
	if !d.created.IsZero() {
		m.Timestamp = timestamp(d.created)
	}
	if len(d.requests) == 1 {
		c := sourceComponent(d.requests[0])
		m.Component = &c
		return m
	}
	m.Component = &cdx.Component{BOMRef: allRequests, Type: cdx.ComponentTypeApplication, Name: documentName(d.requests)}
	return m
}

func sourceComponent(r Request) cdx.Component {
	s := sourceOf(r)
	c := cdx.Component{
		BOMRef: s.id, Type: cdx.ComponentTypeApplication, Name: s.name, Version: s.ref, PackageURL: s.purl,
		Properties: &[]cdx.Property{{Name: propertyRequest, Value: fmt.Sprint(r.ID)}},
	}
	if s.url != "" {
		c.ExternalReferences = &[]cdx.ExternalReference{{Type: cdx.ERTypeVCS, URL: s.url, Comment: "at commit " + s.ref}}
	}
	return c
}

func (d document) component(n *node) cdx.Component {
	c := cdx.Component{BOMRef: n.id(), Type: cdx.ComponentTypeLibrary, Name: n.name, Version: n.version, PackageURL: n.purl}
	switch {
	case n.developmentOnly():
		c.Scope = cdx.ScopeExcluded
	case n.roles&(ofRepository|runtime) != 0:
		c.Scope = cdx.ScopeRequired
	}
	if sums := n.sha256(); len(sums) == 1 {
		c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: sums[0]}}
	}
	var properties []cdx.Property
	if utf8.RuneCountInString(n.version) > maxVersion {
		c.Version = ""
		properties = append(properties, cdx.Property{Name: propertyVersion, Value: n.version})
	}
	for _, p := range d.properties(n) {
		properties = append(properties, cdx.Property{Name: p[0], Value: p[1]})
	}
	if len(properties) > 0 {
		c.Properties = &properties
	}
	return c
}

// dependencies writes who depends on what: requests on their packages, packages on their dependencies. The
// list of one package may be long, so it is written name by name.
func (d document) dependencies(b *bufio.Writer) error {
	separator := ""
	begin := func(id string) {
		fmt.Fprintf(b, `%s{"ref": %q, "dependsOn": [`, separator, id) // ids need no escapes
		separator = ", "
	}
	if len(d.requests) != 1 {
		begin(allRequests)
		for i, r := range d.requests {
			writeID(b, i, sourceOf(r).id)
		}
		b.WriteString("]}")
	}
	for i, r := range d.requests {
		begin(sourceOf(r).id)
		for k, to := range d.packagesOf(i) {
			writeID(b, k, d.nodes[to].id())
		}
		b.WriteString("]}")
	}
	for from, list := range d.edges() {
		begin(d.nodes[from].id())
		for k, e := range list {
			if k == 0 || list[k-1].to != e.to { // else needed for development and otherwise
				writeID(b, k, d.nodes[e.to].id())
			}
		}
		if _, err := b.WriteString("]}"); err != nil {
			return err
		}
	}
	return nil
}

func writeID(b *bufio.Writer, i int, id string) {
	if i > 0 {
		b.WriteString(", ")
	}
	b.WriteByte('"')
	b.WriteString(id)
	b.WriteByte('"')
}
