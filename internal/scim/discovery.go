// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

// The documents of discovery (RFC 7643 sections 5 to 7). base is the URI that
// the client used, without a slash at its end, so that locations keep it. None
// of them holds a null.

// DocumentMeta is the metadata of a document of discovery.
type DocumentMeta struct {
	ResourceType string `json:"resourceType"`
	Location     string `json:"location"`
}

// AttributeDocument describes an attribute.
type AttributeDocument struct {
	Name            string              `json:"name"`
	Type            Type                `json:"type"`
	MultiValued     bool                `json:"multiValued"`
	Description     string              `json:"description"`
	Required        bool                `json:"required"`
	CanonicalValues []string            `json:"canonicalValues,omitempty"`
	CaseExact       bool                `json:"caseExact"`
	Mutability      MutabilityKind      `json:"mutability"`
	Returned        ReturnedKind        `json:"returned"`
	Uniqueness      UniquenessKind      `json:"uniqueness"`
	ReferenceTypes  []string            `json:"referenceTypes,omitempty"`
	SubAttributes   []AttributeDocument `json:"subAttributes,omitempty"`
}

// SchemaDocument describes a schema.
type SchemaDocument struct {
	Schemas     []string            `json:"schemas"`
	ID          string              `json:"id"`
	Name        string              `json:"name"`
	Description string              `json:"description"`
	Attributes  []AttributeDocument `json:"attributes"`
	Meta        DocumentMeta        `json:"meta"`
}

// Document is the description that /Schemas/{urn} answers.
func (s *Schema) Document(base string) SchemaDocument {
	return SchemaDocument{
		Schemas: []string{SchemaURN}, ID: s.ID, Name: s.Name, Description: s.Description,
		Attributes: describe(s.Attributes),
		Meta:       DocumentMeta{ResourceType: "Schema", Location: base + "/Schemas/" + s.ID},
	}
}

func describe(attrs []*Attribute) []AttributeDocument {
	out := make([]AttributeDocument, 0, len(attrs))
	for _, a := range attrs {
		out = append(out, AttributeDocument{
			Name: a.Name, Type: a.Type, MultiValued: a.MultiValued, Description: a.Description,
			Required: a.Required, CanonicalValues: a.CanonicalValues, CaseExact: a.CaseExact,
			Mutability: a.Mutability, Returned: a.Returned, Uniqueness: a.Uniqueness,
			ReferenceTypes: a.ReferenceTypes, SubAttributes: describe(a.SubAttributes),
		})
	}
	return out
}

// SchemaExtension names a schema that extends a resource type.
type SchemaExtension struct {
	Schema   string `json:"schema"`
	Required bool   `json:"required"`
}

// ResourceTypeDocument describes a resource type.
type ResourceTypeDocument struct {
	Schemas          []string          `json:"schemas"`
	ID               string            `json:"id"`
	Name             string            `json:"name"`
	Endpoint         string            `json:"endpoint"`
	Description      string            `json:"description"`
	Schema           string            `json:"schema"`
	SchemaExtensions []SchemaExtension `json:"schemaExtensions"`
	Meta             DocumentMeta      `json:"meta"`
}

// Document is the description that /ResourceTypes/{name} answers.
func (rt *ResourceType) Document(base string) ResourceTypeDocument {
	extensions := make([]SchemaExtension, 0, len(rt.Extensions))
	for _, s := range rt.Extensions {
		extensions = append(extensions, SchemaExtension{Schema: s.ID})
	}
	return ResourceTypeDocument{
		Schemas: []string{ResourceTypeURN}, ID: rt.Name, Name: rt.Name, Endpoint: rt.Endpoint,
		Description: rt.Description, Schema: rt.Schema.ID, SchemaExtensions: extensions,
		Meta: DocumentMeta{ResourceType: "ResourceType", Location: base + "/ResourceTypes/" + rt.Name},
	}
}

// Supported says whether a feature is there.
type Supported struct {
	Supported bool `json:"supported"`
}

// BulkSupport describes the bulk operation.
type BulkSupport struct {
	Supported      bool `json:"supported"`
	MaxOperations  int  `json:"maxOperations"`
	MaxPayloadSize int  `json:"maxPayloadSize"`
}

// FilterSupport describes filtering.
type FilterSupport struct {
	Supported  bool `json:"supported"`
	MaxResults int  `json:"maxResults"`
}

// AuthenticationScheme describes how a client says who it is.
type AuthenticationScheme struct {
	Type             string `json:"type"`
	Name             string `json:"name"`
	Description      string `json:"description"`
	SpecURI          string `json:"specUri,omitempty"`
	DocumentationURI string `json:"documentationUri,omitempty"`
	Primary          bool   `json:"primary,omitempty"`
}

// ServiceProviderConfig describes what the service provider can do.
type ServiceProviderConfig struct {
	Schemas               []string               `json:"schemas"`
	DocumentationURI      string                 `json:"documentationUri,omitempty"`
	Patch                 Supported              `json:"patch"`
	Bulk                  BulkSupport            `json:"bulk"`
	Filter                FilterSupport          `json:"filter"`
	ChangePassword        Supported              `json:"changePassword"`
	Sort                  Supported              `json:"sort"`
	ETag                  Supported              `json:"etag"`
	AuthenticationSchemes []AuthenticationScheme `json:"authenticationSchemes"`
	Meta                  DocumentMeta           `json:"meta"`
}

// NewServiceProviderConfig is the description that /ServiceProviderConfig
// answers: what this package does, with the caller's Bulk and page size.
func NewServiceProviderConfig(base, documentation string, bulk BulkSupport, maxResults int) ServiceProviderConfig {
	return ServiceProviderConfig{
		Schemas: []string{ServiceProviderConfigURN}, DocumentationURI: documentation,
		Patch:  Supported{Supported: true},
		Bulk:   bulk,
		Filter: FilterSupport{Supported: true, MaxResults: maxResults},
		Sort:   Supported{Supported: true},
		ETag:   Supported{Supported: true},
		AuthenticationSchemes: []AuthenticationScheme{{
			Type: "oauthbearertoken", Name: "Bearer token",
			Description: "A key of type SCIM, sent in the Authorization header.",
			SpecURI:     "https://www.rfc-editor.org/info/rfc6750", Primary: true,
		}},
		Meta: DocumentMeta{ResourceType: "ServiceProviderConfig", Location: base + "/ServiceProviderConfig"},
	}
}

// ListResponse is the answer to a query (RFC 7644 section 3.4.2).
type ListResponse[T any] struct {
	Schemas      []string `json:"schemas"`
	TotalResults int      `json:"totalResults"`
	StartIndex   int      `json:"startIndex"`
	ItemsPerPage int      `json:"itemsPerPage"`
	Resources    []T      `json:"Resources"`
}

// NewListResponse is a page of total results that begins at start, from 1.
func NewListResponse[T any](total, start int, page []T) ListResponse[T] {
	if page == nil {
		page = []T{}
	}
	return ListResponse[T]{
		Schemas: []string{ListResponseURN}, TotalResults: total,
		StartIndex: start, ItemsPerPage: len(page), Resources: page,
	}
}

// ErrorDocument is the body of a refusal (RFC 7644 section 3.12).
type ErrorDocument struct {
	Schemas  []string `json:"schemas"`
	Status   string   `json:"status"`
	ScimType ScimType `json:"scimType,omitempty"`
	Detail   string   `json:"detail,omitempty"`
}
