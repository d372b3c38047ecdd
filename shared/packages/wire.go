package packages

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// The wire form has its keys sorted, as all of the API's answers.
type wirePackage struct {
	Dependencies []Dependency `json:"dependencies"`
	wirePackageTail
}

type wirePackageTail struct {
	Name    string  `json:"name"`
	Path    string  `json:"path,omitempty"`
	Type    string  `json:"type"`
	Version *string `json:"version"`
}

type wireDependency struct {
	Bundled  *bool            `json:"bundled,omitempty"`
	Dev      *bool            `json:"dev,omitempty"`
	Name     string           `json:"name"`
	Replaces *json.RawMessage `json:"replaces,omitempty"`
	Type     string           `json:"type"`
	Version  *string          `json:"version"`
}

var null = json.RawMessage("null")

// MarshalJSON gives the form of the packages data.
func (p Package) MarshalJSON() ([]byte, error) {
	w := wirePackage{p.Dependencies, wirePackageTail{p.Name, p.Path, p.Type, p.Version}}
	if w.Dependencies == nil {
		w.Dependencies = []Dependency{}
	}
	return json.Marshal(w)
}

// EncodePackage writes what MarshalJSON gives, one dependency after the other: there may be 50,000.
func EncodePackage(w io.Writer, p Package) error {
	separator := `{"dependencies":[`
	for i := range p.Dependencies {
		raw, err := json.Marshal(&p.Dependencies[i])
		if err != nil {
			return err
		}
		if _, err := w.Write(append([]byte(separator), raw...)); err != nil {
			return err
		}
		separator = ","
	}
	if len(p.Dependencies) > 0 {
		separator = ""
	}
	raw, err := json.Marshal(wirePackageTail{p.Name, p.Path, p.Type, p.Version})
	if err != nil {
		return err
	}
	_, err = w.Write(append([]byte(separator+"],"), raw[1:]...))
	return err
}

// UnmarshalJSON reads the form of the packages data.
func (p *Package) UnmarshalJSON(raw []byte) error {
	var w wirePackage
	if err := json.Unmarshal(raw, &w); err != nil {
		return err
	}
	*p = Package{Name: w.Name, Type: w.Type, Version: w.Version, Path: w.Path, Dependencies: w.Dependencies}
	return nil
}

// MarshalJSON gives the form of the packages data: dev, bundled and replaces only where they are known.
func (d Dependency) MarshalJSON() ([]byte, error) {
	w := wireDependency{d.Bundled, d.Dev, d.Name, nil, d.Type, d.Version}
	if d.Replaces != nil {
		raw, err := json.Marshal(d.Replaces)
		if err != nil {
			return nil, err
		}
		w.Replaces = (*json.RawMessage)(&raw)
	} else if d.HasReplaces {
		w.Replaces = &null
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads the form of the packages data.
func (d *Dependency) UnmarshalJSON(raw []byte) error {
	var w struct {
		wireDependency
		Replaces json.RawMessage `json:"replaces"` // tells null from absent
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return err
	}
	*d = Dependency{Name: w.Name, Type: w.Type, Version: w.Version, Dev: w.Dev, Bundled: w.Bundled, HasReplaces: w.Replaces != nil}
	if w.Replaces != nil && string(w.Replaces) != "null" {
		d.Replaces = new(Replaced)
		return json.Unmarshal(w.Replaces, d.Replaces)
	}
	return nil
}

// Encode writes the packages data, one package after the other.
func Encode(w io.Writer, d Data) error {
	b := bufio.NewWriterSize(w, 64<<10)
	b.WriteString(`{"packages": [`)
	for i, p := range d.Packages {
		if i > 0 {
			b.WriteString(", ")
		}
		if err := EncodePackage(b, p); err != nil {
			return fmt.Errorf("encoding package %s: %w", p, err)
		}
	}
	b.WriteString("]")
	if len(d.Artifacts) > 0 { // behind the packages: most readers stop before them
		b.WriteString(`, "artifacts": [`)
		for i, a := range d.Artifacts {
			if i > 0 {
				b.WriteString(", ")
			}
			raw, err := json.Marshal(a)
			if err != nil {
				return fmt.Errorf("encoding artifact %s: %w", a.PURL, err)
			}
			b.Write(raw)
		}
		b.WriteString("]")
	}
	b.WriteString("}\n")
	return b.Flush()
}
