// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

// The URNs of the protocol.
const (
	CoreUserURN              = "urn:ietf:params:scim:schemas:core:2.0:User"
	CoreGroupURN             = "urn:ietf:params:scim:schemas:core:2.0:Group"
	EnterpriseUserURN        = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	SchemaURN                = "urn:ietf:params:scim:schemas:core:2.0:Schema"
	ResourceTypeURN          = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	ServiceProviderConfigURN = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	ListResponseURN          = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	SearchRequestURN         = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
	PatchOpURN               = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	BulkRequestURN           = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	BulkResponseURN          = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
	ErrorURN                 = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// The resource types that are served.
var (
	// User is a person.
	User = &ResourceType{
		Name: "User", Endpoint: "/Users", Description: "User Account",
		Schema: coreUser, Extensions: []*Schema{enterpriseUser},
	}
	// Group is a set of people and groups.
	Group = &ResourceType{
		Name: "Group", Endpoint: "/Groups", Description: "Group",
		Schema: coreGroup,
	}
)

// ResourceTypes are all resource types, in the order in which discovery lists them.
func ResourceTypes() []*ResourceType { return []*ResourceType{User, Group} }

// Schemas are all schemas, in the order in which discovery lists them.
func Schemas() []*Schema { return []*Schema{coreUser, coreGroup, enterpriseUser} }

// text is a readWrite string that is not case exact; mod changes what differs.
func text(name, description string, mod ...func(*Attribute)) *Attribute {
	a := &Attribute{
		Name: name, Type: TypeString, Description: description,
		Mutability: ReadWrite, Returned: ReturnedDefault, Uniqueness: UniqueNone,
	}
	for _, m := range mod {
		m(a)
	}
	return a
}

// The modifiers of text.
func required(a *Attribute)     { a.Required = true }
func exact(a *Attribute)        { a.CaseExact = true }
func readOnly(a *Attribute)     { a.Mutability = ReadOnly }
func immutable(a *Attribute)    { a.Mutability = Immutable }
func always(a *Attribute)       { a.Returned = ReturnedAlways }
func serverUnique(a *Attribute) { a.Uniqueness = UniqueServer }
func external(a *Attribute)     { a.External = true }
func onePerType(a *Attribute)   { a.OnePerType = true }
func secret(a *Attribute)       { a.Mutability, a.Returned = WriteOnly, ReturnedNever }

func typed(t Type) func(*Attribute) { return func(a *Attribute) { a.Type = t } }

func canonical(values ...string) func(*Attribute) {
	return func(a *Attribute) { a.CanonicalValues = values }
}

func refers(to ...string) func(*Attribute) {
	return func(a *Attribute) { a.Type, a.ReferenceTypes = TypeReference, to }
}

func complexOf(subs ...*Attribute) func(*Attribute) {
	return func(a *Attribute) { a.Type, a.SubAttributes = TypeComplex, subs }
}

func many(subs ...*Attribute) func(*Attribute) {
	return func(a *Attribute) { a.Type, a.MultiValued, a.SubAttributes = TypeComplex, true, subs }
}

// plural are the default sub-attributes of a multi-valued attribute (RFC 7643
// section 2.4) around its value.
func plural(value *Attribute, types ...string) []*Attribute {
	return []*Attribute{
		value,
		text("display", "A human-readable name, for display only."),
		text("type", "What the value is used for.", canonical(types...)),
		text("primary", "Whether this is the preferred value; true for one value at most.", typed(TypeBoolean)),
	}
}

// commonAttributes belong to every resource (RFC 7643 section 3.1) and are
// listed in no schema.
var commonAttributes = []*Attribute{
	text("schemas", "The URNs of the schemas of the resource.", refers("uri"), exact, readOnly, always,
		func(a *Attribute) { a.MultiValued = true }),
	text("id", "The identifier that the service provider gave.", exact, readOnly, always, serverUnique),
	text("externalId", "The identifier that the client gave.", exact),
	text("meta", "Metadata of the resource.", readOnly, complexOf(
		text("resourceType", "The name of the resource type.", exact, readOnly),
		text("created", "When the resource was created.", typed(TypeDateTime), exact, readOnly),
		text("lastModified", "When the resource was last changed.", typed(TypeDateTime), exact, readOnly),
		text("location", "The URI of the resource.", refers("uri"), exact, readOnly),
		text("version", "The version of the resource, as its entity tag.", exact, readOnly),
	)),
}

var coreUser = &Schema{
	ID: CoreUserURN, Name: "User", Description: "User Account",
	Attributes: []*Attribute{
		text("userName", "The name by which the user is known to the service provider: an e-mail address.", required, serverUnique),
		text("name", "The components of the user's name.", complexOf(
			text("formatted", "The full name, formatted for display."),
			text("familyName", "The family name."),
			text("givenName", "The given name."),
			text("middleName", "The middle names."),
			text("honorificPrefix", "The honorific prefixes, or title."),
			text("honorificSuffix", "The honorific suffixes."),
		)),
		text("displayName", "The name of the user for display."),
		text("nickName", "The casual name of the user."),
		text("profileUrl", "The URL of the user's online profile.", refers("external")),
		text("title", "The title of the user, such as Vice President."),
		text("userType", "The role of the user in Seatkeeper. Employee where it is not given."),
		text("preferredLanguage", "The preferred language, as in Accept-Language."),
		text("locale", "The locale for numbers, dates and currency."),
		text("timezone", "The time zone, in the form of the IANA database."),
		text("active", "Whether the user may use the service.", typed(TypeBoolean)),
		text("password", "Accepted and discarded: users sign in through their identity provider.", secret),
		text("emails", "The e-mail addresses of the user.", onePerType, many(
			plural(text("value", "An e-mail address."), "work", "home", "other")...)),
		text("phoneNumbers", "The telephone numbers of the user.", onePerType, many(
			plural(text("value", "A telephone number."), "work", "home", "mobile", "fax", "pager", "other")...)),
		text("ims", "The instant messaging addresses of the user.", onePerType, many(
			plural(text("value", "An instant messaging address."), "aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo")...)),
		text("photos", "The URLs of photos of the user.", onePerType, many(
			plural(text("value", "The URL of a photo.", refers("external")), "photo", "thumbnail")...)),
		text("addresses", "The postal addresses of the user.", onePerType, many(
			text("formatted", "The full address, formatted for display."),
			text("streetAddress", "The street address."),
			text("locality", "The city or locality."),
			text("region", "The state or region."),
			text("postalCode", "The postal code."),
			text("country", "The country, as an ISO 3166-1 alpha-2 code."),
			text("type", "What the address is used for.", canonical("work", "home", "other")),
			text("primary", "Whether this is the preferred address; true for one at most.", typed(TypeBoolean)),
		)),
		text("groups", "The groups that the user belongs to.", readOnly, many(
			text("value", "The id of the group.", exact, readOnly),
			text("$ref", "The URI of the group.", refers("Group"), exact, readOnly),
			text("display", "The name of the group.", readOnly),
			text("type", "How the user belongs to the group.", canonical("direct", "indirect"), readOnly),
		)),
		text("entitlements", "The entitlements of the user.", many(plural(text("value", "An entitlement."))...)),
		text("roles", "The roles of the user at the client.", many(plural(text("value", "A role."))...)),
		text("x509Certificates", "The certificates of the user.", many(
			plural(text("value", "A certificate: DER in Base64.", typed(TypeBinary), exact))...)),
	},
}

var coreGroup = &Schema{
	ID: CoreGroupURN, Name: "Group", Description: "Group",
	Attributes: []*Attribute{
		text("displayName", "The name of the group.", required, serverUnique),
		text("members", "The members of the group.", external, many(
			text("value", "The id of the member.", required, exact, immutable),
			text("$ref", "The URI of the member.", refers("User", "Group"), exact, readOnly),
			text("type", "The resource type of the member.", canonical("User", "Group"), immutable),
			text("display", "The name of the member.", readOnly),
		)),
	},
}

var enterpriseUser = &Schema{
	ID: EnterpriseUserURN, Name: "EnterpriseUser", Description: "Enterprise User",
	Attributes: []*Attribute{
		text("employeeNumber", "The identifier that the organization gave the user."),
		text("costCenter", "The name of the cost center."),
		text("organization", "The name of the organization."),
		text("division", "The name of the division."),
		text("department", "The name of the department."),
		text("manager", "The manager of the user.", complexOf(
			text("value", "The id of the manager. An id that is not known yet is kept.", exact),
			text("$ref", "The URI of the manager.", refers("User"), exact, readOnly),
			text("displayName", "The name of the manager.", readOnly),
		)),
	},
}
