package cargo

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// maxGlobFolders bounds the folders that patterns of workspace members are compared with.
const maxGlobFolders = 100_000

// glob lists the folders of a pattern of Rust's glob crate (https://docs.rs/glob): "*", "?" and "[a-z]" within
// a path element, "**" for any number of elements.
func (t *tree) glob(pattern string) ([]string, error) {
	budget := maxGlobFolders
	found := map[string]bool{}
	if err := t.expand(".", strings.Split(pattern, "/"), found, &budget); err != nil {
		return nil, err
	}
	var dirs []string
	for dir := range found {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	return dirs, nil
}

func (t *tree) expand(dir string, elements []string, found map[string]bool, budget *int) error {
	if len(elements) == 0 {
		found[dir] = true
		return nil
	}
	element, rest := elements[0], elements[1:]
	if !strings.ContainsAny(element, "*?[") {
		at := path.Join(dir, element)
		info, err := t.root.Stat(at)
		if err != nil || !info.IsDir() {
			return nil // nothing matches
		}
		return t.expand(at, rest, found, budget)
	}
	if element == "**" {
		if err := t.expand(dir, rest, found, budget); err != nil {
			return err
		}
	}
	element = strings.ReplaceAll(element, "[!", "[^")
	if _, err := path.Match(element, ""); err != nil {
		return fault.Client(fault.InvalidFileFormat, "The pattern %.200q of workspace members is malformed", element)
	}
	list, err := fs.ReadDir(t.root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing %s: %w", dir, err)
	}
	for _, e := range list {
		if !e.IsDir() && (element == "**" || e.Type() != fs.ModeSymlink) {
			continue // links to folders match, and do not lead on in circles
		}
		if *budget--; *budget < 0 {
			return fault.Client(fault.UnsupportedFeature, "The members of the workspace match more than %d folders", maxGlobFolders)
		}
		at := path.Join(dir, e.Name())
		if element == "**" {
			if err := t.expand(at, elements, found, budget); err != nil {
				return err
			}
			continue
		}
		ok, err := path.Match(element, e.Name())
		if err != nil {
			return fmt.Errorf("comparing %s with %s: %w", at, element, err)
		}
		if info, err := t.root.Stat(at); ok && err == nil && info.IsDir() {
			if err := t.expand(at, rest, found, budget); err != nil {
				return err
			}
		}
	}
	return nil
}
