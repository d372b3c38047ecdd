package sbom

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/cachito-serverless/cachito/shared/purl"
)

const (
	toolName = "cachito"
	// allRequests stands for the requests of a document that has not exactly one.
	allRequests = "requests"
	// maxNamedRequests is up to how many requests a document's name lists.
	maxNamedRequests = 8
	noAssertion      = "NOASSERTION"
	spdxRef          = "SPDXRef-"
)

// documentName is a name for people: "cachito-requests-1-2".
func documentName(requests []Request) string {
	switch {
	case len(requests) == 0:
		return "cachito-no-requests"
	case len(requests) == 1:
		return fmt.Sprintf("cachito-request-%d", requests[0].ID)
	case len(requests) > maxNamedRequests:
		return fmt.Sprintf("cachito-%d-requests", len(requests))
	}
	var b strings.Builder
	b.WriteString("cachito-requests")
	for _, r := range requests {
		fmt.Fprintf(&b, "-%d", r.ID)
	}
	return b.String()
}

// spdx23 writes https://spdx.github.io/spdx-spec/v2.3/ as JSON.
func (d document) spdx23(w io.Writer) error {
	b := bufio.NewWriterSize(w, 64<<10)
	created := d.created
	if created.IsZero() {
		created = time.Unix(0, 0) // the field must be there
	}
	info, err := json.Marshal(spdx.CreationInfo{
		Creators: []common.Creator{{CreatorType: "Tool", Creator: toolName + "-" + d.version}}, Created: timestamp(created),
	})
	if err != nil {
		return fmt.Errorf("SPDX creation information: %w", err)
	}
	name := documentName(d.requests)
	// Who has no site of his own uses this one: SPDX 2.3, 6.5.
	fmt.Fprintf(b, `{"spdxVersion": %q, "dataLicense": %q, "SPDXID": "SPDXRef-DOCUMENT", "name": %q, `+
		`"documentNamespace": "https://spdx.org/spdxdocs/%s-%s", "creationInfo": %s, "packages": [`,
		spdx.Version, spdx.DataLicense, name, name, d.serial, info)
	separator := ""
	one := func(p spdx.Package) error {
		raw, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("SPDX package %s: %w", p.PackageName, err)
		}
		b.WriteString(separator)
		separator = ", "
		_, err = b.Write(raw)
		return err
	}
	for _, r := range d.requests {
		if err := one(sourcePackage(r)); err != nil {
			return err
		}
	}
	for i := range d.nodes {
		if err := one(d.spdxPackage(&d.nodes[i])); err != nil {
			return err
		}
	}
	b.WriteString(`], "relationships": [`)
	if err := d.relationships(b); err != nil {
		return err
	}
	b.WriteString("]}\n")
	return b.Flush()
}

// usualHost are the hosts that SPDX's own validators take in a download location, which the specification does
// not restrict: no addresses, no single names, no long top-level domains such as .internal.
var usualHost = regexp.MustCompile(`^(?i:[a-z0-9]+([-.][a-z0-9]+)*\.[a-z]{2,5})$`)

func sourcePackage(r Request) spdx.Package {
	s := sourceOf(r)
	p := spdx.Package{
		PackageName: s.name, PackageSPDXIdentifier: spdxID(s.id), PackageVersion: s.ref,
		PackageDownloadLocation: noAssertion, PrimaryPackagePurpose: "SOURCE",
		PackageComment: fmt.Sprintf("%s=%d", propertyRequest, r.ID),
	}
	if s.url != "" {
		location := "git+" + s.url + "@" + s.ref
		if usualHost.MatchString(s.host) {
			p.PackageDownloadLocation = location
		} else {
			p.PackageSourceInfo = location
		}
	}
	if s.purl != "" {
		p.PackageExternalReferences = purlReference(s.purl)
	}
	return p
}

// spdxID is an id with its prefix: the library adds one only where the text does not begin with it, as a name
// may.
func spdxID(id string) common.ElementID { return common.ElementID(spdxRef + id) }

func (d document) spdxPackage(n *node) spdx.Package {
	p := spdx.Package{
		PackageName: n.name, PackageSPDXIdentifier: spdxID(n.id()), PackageVersion: n.version,
		PackageDownloadLocation: noAssertion, PrimaryPackagePurpose: "LIBRARY", PackageExternalReferences: purlReference(n.purl),
	}
	if sums := n.sha256(); len(sums) == 1 {
		p.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: sums[0]}}
	}
	var words []string
	for _, property := range d.properties(n) {
		words = append(words, property[0]+"="+property[1])
	}
	p.PackageComment = strings.Join(words, " ")
	return p
}

// purlReference: a locator has no blanks (SPDX 2.3, 7.21), which strange names may bring into a purl.
func purlReference(text string) []*spdx.PackageExternalReference {
	return []*spdx.PackageExternalReference{{
		Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL,
		Locator: purl.Escape(text, "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}"),
	}}
}

// relationships writes that the document describes the requests' repositories, which contain their packages,
// which depend on others.
func (d document) relationships(b *bufio.Writer) error {
	separator := ""
	write := func(from, kind, to string) { // ids need no escapes
		for _, part := range []string{
			separator, `{"spdxElementId": "`, spdxRef, from, `", "relationshipType": "`, kind, `", "relatedSpdxElement": "`, to, `"}`,
		} {
			b.WriteString(part)
		}
		separator = ", "
	}
	if len(d.requests) == 0 {
		write("DOCUMENT", common.TypeRelationshipDescribe, "NONE")
	}
	for i, r := range d.requests {
		id := sourceOf(r).id
		write("DOCUMENT", common.TypeRelationshipDescribe, spdxRef+id)
		for _, to := range d.packagesOf(i) {
			write(id, common.TypeRelationshipContains, spdxRef+d.nodes[to].id())
		}
	}
	for from, list := range d.edges() {
		id := d.nodes[from].id()
		for _, e := range list {
			to := d.nodes[e.to].id()
			if e.dev {
				write(to, common.TypeRelationshipDevDependencyOf, spdxRef+id)
			} else {
				write(id, common.TypeRelationshipDependsOn, spdxRef+to)
			}
		}
		if err := b.Flush(); err != nil { // so that the work ends when nobody reads any more
			return err
		}
	}
	return nil
}
