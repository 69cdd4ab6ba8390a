// Made from openapi.json by `npm run openapi`; not to be edited.

export interface paths {
    "/v1/aggregates": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listAggregates"];
        put?: never;
        post: operations["createAggregate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/aggregates/{aggregate}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getAggregate"];
        put?: never;
        post?: never;
        delete: operations["deleteAggregate"];
        options?: never;
        head?: never;
        patch: operations["changeAggregate"];
        trace?: never;
    };
    "/v1/aggregates/{aggregate}/hosts/{host}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put: operations["addAggregateHost"];
        post?: never;
        delete: operations["removeAggregateHost"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/aliases": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listAliases"];
        put?: never;
        post: operations["createAlias"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/aliases/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getAlias"];
        put: operations["replaceAlias"];
        post?: never;
        delete: operations["deleteAlias"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/aliases/{name}/versions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listAliasVersions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/aliases/{name}/versions/{version}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getAliasVersion"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/aliases/reload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["reloadAliases"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listAudit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/audit/head": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getAuditHead"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/availability-zones": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listAvailabilityZones"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/capacity": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getCapacity"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/defragmentation/plan": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["planDefragmentation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/device-specs/preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["previewDeviceSpecs"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/devices": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listDevices"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/devices/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getDevice"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/devices/{id}/quarantine": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["quarantineDevice"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/devices/{id}/repair": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["repairDevice"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/devices/{id}/reserve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["reserveDevice"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/devices/{id}/unreserve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["unreserveDevice"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/flavors": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listFlavors"];
        put?: never;
        post: operations["createFlavor"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/flavors/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getFlavor"];
        put?: never;
        post?: never;
        delete: operations["deleteFlavor"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/flavors/{id}/extra_specs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put: operations["replaceExtraSpecs"];
        post?: never;
        delete: operations["deleteExtraSpecs"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/flavors/{id}/extra_specs/{key}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put: operations["setExtraSpec"];
        post?: never;
        delete: operations["deleteExtraSpec"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/fragmentation": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getFragmentation"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/hosts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listHosts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/hosts/{host}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getHost"];
        put?: never;
        post?: never;
        delete: operations["removeHost"];
        options?: never;
        head?: never;
        patch: operations["changeHost"];
        trace?: never;
    };
    "/v1/hosts/{host}/device-claims": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listDeviceClaims"];
        put?: never;
        post: operations["createDeviceClaim"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/hosts/{host}/device-claims/{claim}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getDeviceClaim"];
        put?: never;
        post?: never;
        delete: operations["deleteDeviceClaim"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/hosts/{host}/device-claims/preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["previewDeviceClaim"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/hosts/{host}/evacuate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["evacuateHost"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/hosts/{host}/evacuation": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getEvacuation"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/hosts/{host}/iommu-groups": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listIommuGroups"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/hosts/{host}/reload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["reloadHost"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/hosts/{host}/sriov": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listSriov"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/hosts/{host}/sriov/{address}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put: operations["setSriov"];
        post?: never;
        delete: operations["forgetSriov"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/hosts/{host}/topology": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getHostTopology"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/placements": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listPlacements"];
        put?: never;
        post: operations["createPlacements"];
        delete: operations["deletePlacements"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/placements/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getPlacement"];
        put?: never;
        post?: never;
        delete: operations["deletePlacement"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/placements/{id}/decision": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getPlacementDecision"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/placements/dry-run": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["dryRunPlacement"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/placements/preemption-preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["previewPreemption"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/placements/what-if": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["whatIf"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/pools": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listPools"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/queue": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listQueue"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/quotas": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getQuotas"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/quotas/{project_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put: operations["setQuotas"];
        post?: never;
        delete: operations["deleteQuotas"];
        options?: never;
        head?: never;
        patch: operations["changeQuotas"];
        trace?: never;
    };
    "/v1/reservations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listReservations"];
        put?: never;
        post: operations["createReservation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/reservations/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getReservation"];
        put?: never;
        post?: never;
        delete: operations["cancelReservation"];
        options?: never;
        head?: never;
        patch: operations["changeReservation"];
        trace?: never;
    };
    "/v1/server-groups": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listServerGroups"];
        put?: never;
        post: operations["createServerGroup"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/server-groups/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getServerGroup"];
        put?: never;
        post?: never;
        delete: operations["deleteServerGroup"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/servers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listServers"];
        put?: never;
        post: operations["createServer"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/servers/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getServer"];
        put?: never;
        post?: never;
        delete: operations["deleteServer"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/servers/{id}/actions/{action}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["actOnServer"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/servers/{id}/decisions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listDecisions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/servers/{id}/devices": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["attachDevices"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/servers/{id}/devices/{device_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete: operations["detachDevice"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/servers/{id}/explanation": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["explainServer"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        AggregateBody: {
            /** @example room-2 */
            availability_zone?: string;
            /**
             * @example {
             *       "ssd": "true"
             *     }
             */
            metadata?: {
                [key: string]: string;
            };
            /** @example fast-nics */
            name: string;
        };
        AggregateChangeBody: {
            availability_zone?: string | null;
            metadata?: {
                [key: string]: string | null;
            };
            name?: string;
        };
        AggregatePageView: {
            aggregates: components["schemas"]["AggregateView"][];
            next: string | null;
        };
        AggregateView: {
            availability_zone: string | null;
            /** Format: date-time */
            created_at: string;
            generation: number;
            host_count: number;
            hosts: string[];
            /** Format: uuid */
            id: string;
            metadata: {
                [key: string]: string;
            };
            name: string;
            /** Format: date-time */
            updated_at: string;
        };
        AliasBody: {
            any_traits?: string[][];
            /** @enum {string} */
            device_type?: "type-PCI" | "type-PF" | "type-VF";
            forbidden_traits?: string[];
            /** @enum {string} */
            group?: "slot" | "card";
            live_migratable?: boolean;
            /** @example gpu */
            name: string;
            /** @enum {string} */
            numa_policy?: "required" | "preferred" | "legacy" | "socket";
            physical_network?: string | null;
            /** @example 1bb0 */
            product_id?: string;
            /** @example CUSTOM_GPU */
            resource_class?: string;
            selector?: string;
            specs?: components["schemas"]["AliasSpecBody"][];
            tags?: {
                [key: string]: string | null;
            };
            /**
             * @example [
             *       "CUSTOM_FAST",
             *       "!CUSTOM_WORN",
             *       "{HW_A|HW_B}"
             *     ]
             */
            traits?: string[];
            utility?: number;
            /** @example 10de */
            vendor_id?: string;
        };
        AliasCapacityView: {
            alias: string;
            blocked: number;
            fits: number;
            free: number;
            held: number;
            in_use: number;
            largest: components["schemas"]["HostCountView"] | null;
            missing: number;
            there: number;
        };
        AliasFragmentationView: {
            alias: string;
            causes: components["schemas"]["StrandedCauseView"][];
            fragmentation: number;
            free: number;
            idle: number;
            mix: components["schemas"]["ShapeView"][];
            stranded: number;
            worst_hosts: components["schemas"]["HostFragmentationView"][];
        };
        AliasOwnerView: {
            current: boolean;
            origin: string;
        };
        AliasPageView: {
            aliases: components["schemas"]["AliasView"][];
            next: string | null;
        };
        AliasReloadView: {
            added: string[];
            behind: string[];
            changed: string[];
            /** Format: date-time */
            loaded_at: string;
            needs_restart: string[];
            removed: string[];
        };
        AliasReplaceBody: {
            any_traits?: string[][];
            /** @enum {string} */
            device_type?: "type-PCI" | "type-PF" | "type-VF";
            forbidden_traits?: string[];
            /** @enum {string} */
            group?: "slot" | "card";
            live_migratable?: boolean;
            name?: string;
            /** @enum {string} */
            numa_policy?: "required" | "preferred" | "legacy" | "socket";
            physical_network?: string | null;
            /** @example 1bb0 */
            product_id?: string;
            /** @example CUSTOM_GPU */
            resource_class?: string;
            selector?: string;
            specs?: components["schemas"]["AliasSpecBody"][];
            tags?: {
                [key: string]: string | null;
            };
            /**
             * @example [
             *       "CUSTOM_FAST",
             *       "!CUSTOM_WORN",
             *       "{HW_A|HW_B}"
             *     ]
             */
            traits?: string[];
            utility?: number;
            /** @example 10de */
            vendor_id?: string;
        };
        AliasSpecBody: {
            any_traits?: string[][];
            /** @enum {string} */
            device_type?: "type-PCI" | "type-PF" | "type-VF";
            forbidden_traits?: string[];
            /** @enum {string} */
            group?: "slot" | "card";
            live_migratable?: boolean;
            physical_network?: string | null;
            /** @example 1bb0 */
            product_id?: string;
            /** @example CUSTOM_GPU */
            resource_class?: string;
            selector?: string;
            tags?: {
                [key: string]: string | null;
            };
            /**
             * @example [
             *       "CUSTOM_FAST",
             *       "!CUSTOM_WORN",
             *       "{HW_A|HW_B}"
             *     ]
             */
            traits?: string[];
            utility?: number;
            /** @example 10de */
            vendor_id?: string;
        };
        AliasSpecView: {
            any_traits: string[][];
            /** @enum {string|null} */
            device_type: "type-PCI" | "type-PF" | "type-VF" | null;
            forbidden_traits: string[];
            /** @enum {string|null} */
            group: "slot" | "card" | null;
            live_migratable: boolean | null;
            product_id: string | null;
            resource_class: string | null;
            selector: string | null;
            tags: {
                [key: string]: string | null;
            };
            traits: string[];
            utility: number;
            vendor_id: string | null;
        };
        AliasVersionPageView: {
            next: string | null;
            versions: components["schemas"]["AliasVersionView"][];
        };
        AliasVersionView: {
            /** @enum {string} */
            change: "created" | "changed" | "deleted";
            /** Format: date-time */
            changed_at: string;
            changed_by: string;
            name: string;
            /** @enum {string} */
            numa_policy: "required" | "preferred" | "legacy" | "socket";
            origin: string | null;
            /** @enum {string} */
            source: "file" | "rest";
            specs: components["schemas"]["AliasSpecView"][];
            version: number;
        };
        AliasView: {
            /** Format: date-time */
            created_at: string;
            name: string;
            /** @enum {string} */
            numa_policy: "required" | "preferred" | "legacy" | "socket";
            owners: components["schemas"]["AliasOwnerView"][];
            read_only: boolean;
            /** @enum {string} */
            source: "file" | "rest";
            specs: components["schemas"]["AliasSpecView"][];
            /** Format: date-time */
            updated_at: string;
            version: number;
        };
        AllocationRatiosBody: {
            cpu: number;
            disk: number;
            ram: number;
        };
        AllocationRatiosView: {
            cpu: number;
            disk: number;
            ram: number;
        };
        AttachBody: {
            devices?: string | components["schemas"]["DeviceWishBody"][];
        };
        AuditEntryView: {
            /** Format: date-time */
            at: string;
            /**
             * @example {
             *       "action": "device.quarantine",
             *       "actor": "rest",
             *       "kind": "admin"
             *     }
             */
            body: {
                [key: string]: unknown;
            };
            hash: string;
            previous_hash: string;
            seq: number;
            /** @example ctl-1:4711 */
            writer: string;
        };
        AuditHeadView: {
            anchor: string;
            hash: string;
            pending: number;
            pruned: number;
            seq: number;
        };
        AuditPageView: {
            entries: components["schemas"]["AuditEntryView"][];
            next: string | null;
        };
        AvailabilityZonePageView: {
            availability_zones: components["schemas"]["AvailabilityZoneView"][];
            next: string | null;
        };
        AvailabilityZoneView: {
            available: boolean;
            host_count: number;
            hosts: string[];
            hosts_up: number;
            name: string;
        };
        BindingProblemView: {
            /** @example EBUSY */
            errno: string | null;
            /** @example qemu-system-x86 (process 4711) */
            held_by: string | null;
            remedy: string;
            /** Format: date-time */
            since: string;
            /** @enum {string} */
            state: "blocked" | "refused" | "driverless";
            /** @example unbind */
            step: string;
        };
        BindingProfileView: {
            card_serial_number?: string;
            /** @example 0000:81:02.0 */
            pci_slot: string;
            /** @example 8086:154c */
            pci_vendor_info: string;
            physical_network: string | null;
            vf_num?: number;
        };
        CapabilitiesView: {
            /** @example x86_64 */
            architecture: string | null;
            cpu_features: string[];
            /** @example QEMU */
            hypervisor_type: string | null;
            hypervisor_version: number | null;
        };
        CapacityView: {
            aliases: components["schemas"]["AliasCapacityView"][];
            next: string | null;
        };
        CatalogFlavorView: {
            /** Format: date-time */
            created_at: string;
            description: string | null;
            disk_gb: number;
            ephemeral_gb: number;
            extra_specs: {
                [key: string]: string;
            };
            id: string;
            is_public: boolean;
            name: string;
            ram_mb: number;
            swap_mb: number;
            vcpus: number;
        };
        ChangeBody: {
            /** @example 0000:83:00.0 */
            address?: string;
            count?: number;
            host?: string;
            /** @enum {string} */
            kind: "add_hosts" | "lose_host" | "enable_host" | "free_server" | "hold_device" | "lift_hold" | "lose_device";
            like?: string;
            /** Format: uuid */
            server_id?: string;
        };
        ChangeStepView: {
            /** @enum {string} */
            about: "request" | "fleet";
            details: {
                [key: string]: unknown;
            };
            /** @example fewer_devices */
            kind: string;
            /** @example ask for 2 instead of 4 of alias gpu */
            sentence: string;
        };
        ChosenDeviceView: {
            address: string | null;
            alias: string | null;
            alternative: number | null;
            /** Format: uuid */
            device_id: string | null;
            port: string | null;
            request_index: number | null;
        };
        ClaimableDeviceView: {
            /** @example 0000:83:00.0 */
            address: string;
            binds_to: string | null;
            class_code: string;
            companion: boolean;
            driver: string | null;
            iommu_group: number | null;
            netdevs: string[];
            offered: boolean;
            product_id: string;
            protection: string[];
            server: components["schemas"]["HolderView"] | null;
            vendor_id: string;
        };
        ClaimedDeviceView: {
            /** @example 0000:83:00.0 */
            address: string;
            companion: boolean;
            driver: string | null;
            original_driver: string | null;
            product_id: string;
            server: components["schemas"]["HolderView"] | null;
            vendor_id: string;
        };
        ComparedScoreView: {
            decided_by: string | null;
            delta: number;
            host: string | null;
            parts: {
                [key: string]: {
                    delta: number;
                    normalized: number;
                    raw: number | null;
                    weighted: number;
                };
            };
            rank: number;
            total: number;
        };
        ConfigurationView: {
            /** Format: date-time */
            loaded_at: string;
            needs_restart: string[];
            problem: string | null;
        };
        ConstraintOutcomeView: {
            acs_redirect: boolean | null;
            constraint: number;
            /** @enum {string} */
            distance: "SELF" | "PIX" | "PXB" | "PHB" | "NODE" | "SYS";
            met: boolean;
            pairs: string[][];
        };
        ContainerView: {
            /** @example berth.dev/pci=0b1f7a3e-4c52-4a57-9d0e-2f6f7f0c9a11 */
            cdi_device: string;
            cdi_run_args: string[];
            cdi_spec: {
                [key: string]: unknown;
            };
            run_args: string[];
        };
        CopiesBody: {
            availability_zone?: string;
            copies?: number;
            /** @enum {string} */
            cpu_policy?: "shared" | "dedicated";
            devices?: string | components["schemas"]["DeviceWishBody"][];
            disk_gb?: number;
            /** @example m1.gpu */
            flavor?: string;
            /**
             * @example {
             *       "hw_architecture": "x86_64",
             *       "hw_pci_numa_affinity_policy": "required"
             *     }
             */
            image_properties?: {
                [key: string]: string;
            };
            name?: string;
            ports?: components["schemas"]["PortBody"][];
            preemptible?: boolean;
            priority?: number;
            ram_mb?: number;
            /** Format: uuid */
            reservation?: string;
            scheduler_hints?: components["schemas"]["SchedulerHintsBody"];
            /** @example gpu,nic within PXB; gpu same numa_node prefer */
            topology?: string;
            vcpus?: number;
        };
        CopiesView: {
            asked: number;
            hosts: components["schemas"]["HostCountView"][];
            message: string | null;
            placed: number;
            rejections: components["schemas"]["HostRejectionView"][];
        };
        CoverageView: {
            decided_count: number;
            entry: number;
            matched_count: number;
        };
        CreatedLinkView: {
            /** @example /v1/servers/8f3b… */
            href: string;
            /** Format: uuid */
            id: string;
            /** @example training-1 */
            name: string;
        };
        CreatedServerView: {
            /** @enum {string|null} */
            action: "stop" | "start" | "reboot" | "reboot_hard" | "pause" | "unpause" | "suspend" | "resume" | "rebuild" | "unshelve" | "migrate" | "resize" | null;
            attempts: number;
            availability_zone: string | null;
            container: components["schemas"]["ContainerView"] | null;
            /** Format: date-time */
            created_at: string;
            /** Format: uuid */
            decision_id: string | null;
            devices: components["schemas"]["ServerDeviceView"][];
            disk_gb: number;
            events: components["schemas"]["ServerEventView"][];
            fault: components["schemas"]["FaultView"] | null;
            flavor: components["schemas"]["FlavorView"] | null;
            host: string | null;
            /** Format: uuid */
            id: string;
            locked: boolean;
            locked_reason: string | null;
            name: string;
            numa_cells: number[] | null;
            ports: components["schemas"]["PortView"][];
            preemptible: boolean;
            priority: number;
            project_id: string;
            queue_position: number | null;
            ram_mb: number;
            requested_devices: components["schemas"]["RequestedDevicesView"][];
            /** Format: uuid */
            reservation_id: string | null;
            /** Format: uuid */
            server_group: string | null;
            servers?: components["schemas"]["CreatedLinkView"][];
            simulated: boolean;
            /** @enum {string} */
            status: "BUILD" | "ACTIVE" | "SHELVED" | "ERROR" | "DELETING" | "DELETED";
            /** @enum {string|null} */
            task_state: "scheduling" | "preparing" | "releasing" | "waiting" | "attaching" | "detaching" | null;
            /** Format: date-time */
            updated_at: string;
            vcpus: number;
            /** @enum {string} */
            vm_state: "active" | "stopped" | "paused" | "suspended" | "error";
            wait: boolean;
            /** Format: date-time */
            waiting_since: string | null;
        };
        DecisionView: {
            constraints: components["schemas"]["ConstraintOutcomeView"][];
            devices: components["schemas"]["ChosenDeviceView"][];
            generation: number | null;
            host: string | null;
            /** Format: uuid */
            host_id: string | null;
            hosts_considered: number;
            message: string | null;
            numa_cells: number[] | null;
            /** @enum {string} */
            outcome: "placed" | "rejected";
            rejections: components["schemas"]["HostRejectionView"][];
            scores: components["schemas"]["HostScoreView"][];
            /** @enum {string|null} */
            spread: "SELF" | "PIX" | "PXB" | "PHB" | "NODE" | "SYS" | null;
        };
        DefragmentationBody: {
            aliases?: string[];
            goal?: components["schemas"]["GoalBody"];
            keep?: unknown | unknown[];
            moves_max?: number;
            trials_max?: number;
        };
        DefragmentationPlanView: {
            after: number;
            before: number;
            cost: components["schemas"]["PlanCostView"];
            cut_short: boolean;
            gain: number;
            moves: components["schemas"]["MoveView"][];
            moves_at_least: number | null;
            /** @enum {string} */
            outcome: "nothing_to_do" | "reached" | "improved" | "no_gain";
            staying: components["schemas"]["StayingView"];
            trials: number;
        };
        DetachedDeviceView: {
            /** @example 0000:83:00.0 */
            address: string;
            companion: boolean;
            /** Format: uuid */
            device_id: string;
        };
        DetachView: {
            detaching: components["schemas"]["DetachedDeviceView"][];
        };
        DeviceClaimBody: {
            /** @example 0000:83:00.0 */
            address: string;
            /**
             * @example [
             *       "0000:83:00.1"
             *     ]
             */
            companions?: string[];
        };
        DeviceClaimListView: {
            device_claims: components["schemas"]["DeviceClaimView"][];
            host: string;
        };
        DeviceClaimPreviewView: {
            address: string;
            bridges: components["schemas"]["ClaimableDeviceView"][];
            claimable: boolean;
            host: string;
            refusals: components["schemas"]["DeviceClaimRefusalView"][];
            stays: components["schemas"]["ClaimableDeviceView"][];
            takes: components["schemas"]["ClaimableDeviceView"][];
        };
        DeviceClaimRefusalView: {
            address: string | null;
            /** @enum {string} */
            code: "read_only" | "bridge" | "no_iommu_group" | "claimed" | "in_use" | "protected" | "has_vfs" | "vf_with_its_pf" | "not_managed" | "handover_netdev";
            reason: string;
            remedy: string;
        };
        DeviceClaimView: {
            address: string;
            /** Format: date-time */
            asked_at: string;
            /** Format: date-time */
            created_at: string;
            devices: components["schemas"]["ClaimedDeviceView"][];
            ends: boolean;
            errno: string | null;
            held_by: string | null;
            host: string;
            /** Format: uuid */
            id: string;
            message: string | null;
            /** @enum {string} */
            state: "pending" | "enabled" | "refused" | "blocked" | "releasing";
            step: string | null;
        };
        DeviceCountsView: {
            available: number;
            offered: number;
            reported: number;
        };
        DevicePageView: {
            devices: components["schemas"]["DeviceView"][];
            next: string | null;
        };
        DeviceView: {
            acs_redirect: boolean | null;
            /** @example 0000:83:00.0 */
            address: string;
            binding_problem: components["schemas"]["BindingProblemView"] | null;
            change_pending: boolean;
            class_code: string;
            /** @enum {string} */
            device_type: "type-PCI" | "type-PF" | "type-VF" | "vdpa";
            drift: components["schemas"]["DriftView"][];
            driver: string | null;
            host: string;
            /** Format: uuid */
            host_id: string;
            /** Format: uuid */
            id: string;
            iommu_group: number | null;
            link: components["schemas"]["LinkView"] | null;
            /** Format: date-time */
            missing_since: string | null;
            netdevs: string[];
            not_offered: string | null;
            numa_node: number | null;
            offer: components["schemas"]["OfferView"] | null;
            offered: boolean;
            owner: components["schemas"]["OwnerView"] | null;
            parent_address: string | null;
            pcie_path: string[];
            product_id: string;
            protection: components["schemas"]["ProtectionView"] | null;
            reset_methods: string[];
            revision: string | null;
            serial_number: string | null;
            simulated: boolean;
            sriov: components["schemas"]["SriovView"] | null;
            /** @enum {string} */
            status: "available" | "claimed" | "allocated" | "unclaimable" | "unavailable" | "reserved" | "cleaning" | "failed" | "quarantined" | "removed";
            status_reason: string | null;
            subsystem_product_id: string | null;
            subsystem_vendor_id: string | null;
            /** Format: date-time */
            updated_at: string;
            vendor_id: string;
        };
        DeviceWishBody: {
            /** @example QuickAssist */
            alias: string;
            count: number;
            count_max?: number;
            /** @enum {string} */
            numa_policy?: "required" | "preferred" | "legacy" | "socket";
        };
        DifferenceView: {
            after: components["schemas"]["CopiesView"];
            before: components["schemas"]["CopiesView"];
            gain: number;
            name: string;
        };
        DriftView: {
            from: string | null;
            /** @enum {string} */
            kind: "gone" | "moved" | "id_changed" | "group_changed" | "driver_stolen" | "link_degraded";
            /** @enum {string} */
            policy: "keep" | "quarantine";
            reason: string;
            /** Format: date-time */
            since: string;
            to: string | null;
        };
        DryRunBody: {
            availability_zone?: string;
            /** @enum {string} */
            cpu_policy?: "shared" | "dedicated";
            devices?: string | components["schemas"]["DeviceWishBody"][];
            disk_gb?: number;
            /** @example m1.gpu */
            flavor?: string;
            /**
             * @example {
             *       "hw_architecture": "x86_64",
             *       "hw_pci_numa_affinity_policy": "required"
             *     }
             */
            image_properties?: {
                [key: string]: string;
            };
            name?: string;
            ports?: components["schemas"]["PortBody"][];
            preemptible?: boolean;
            priority?: number;
            ram_mb?: number;
            /** Format: uuid */
            reservation?: string;
            scheduler_hints?: components["schemas"]["SchedulerHintsBody"];
            /** @example gpu,nic within PXB; gpu same numa_node prefer */
            topology?: string;
            vcpus?: number;
        };
        DryRunView: {
            changes?: components["schemas"]["SmallestChangesView"];
            constraints: components["schemas"]["ConstraintOutcomeView"][];
            copies?: components["schemas"]["CopiesView"];
            devices: components["schemas"]["ChosenDeviceView"][];
            generation: number | null;
            host: string | null;
            /** Format: uuid */
            host_id: string | null;
            hosts_considered: number;
            message: string | null;
            numa_cells: number[] | null;
            /** @enum {string} */
            outcome: "placed" | "rejected";
            rejections: components["schemas"]["HostRejectionView"][];
            scores: components["schemas"]["HostScoreView"][];
            /** @enum {string|null} */
            spread: "SELF" | "PIX" | "PXB" | "PHB" | "NODE" | "SYS" | null;
        };
        EvacuateBody: {
            disable?: boolean;
            force?: boolean;
            reason?: string;
            server_ids?: unknown | unknown[];
            wait?: boolean;
        };
        EvacuatedServerView: {
            /** Format: date-time */
            asked_at: string;
            name: string;
            /** @enum {string} */
            progress: "moving" | "moved" | "stuck" | "needs_owner" | "gone";
            reason: string | null;
            /** Format: uuid */
            server_id: string;
            to: string | null;
            tried_again: boolean;
        };
        EvacuationPlanView: {
            host: string;
            servers: components["schemas"]["PlannedServerView"][];
        };
        EvacuationView: {
            done: boolean;
            host: string;
            releasing: number;
            servers: components["schemas"]["EvacuatedServerView"][];
        };
        ExplainedConstraintView: {
            acs_redirect: boolean | null;
            constraint: number;
            /** @enum {string} */
            distance: "SELF" | "PIX" | "PXB" | "PHB" | "NODE" | "SYS";
            met: boolean;
            pairs: string[][];
            /** @example gpu,nic within PXB */
            text: string;
        };
        ExplanationView: {
            attempt: number | null;
            changes: components["schemas"]["SmallestChangesView"] | null;
            constraints: components["schemas"]["ExplainedConstraintView"][];
            /** Format: date-time */
            decided_at: string | null;
            /** Format: uuid */
            decision_id: string | null;
            filters: components["schemas"]["FilterCountView"][];
            host: string | null;
            hosts_considered: number;
            /** @enum {string|null} */
            outcome: "placed" | "rejected" | null;
            rejections: components["schemas"]["HostRejectionView"][];
            scores: components["schemas"]["ComparedScoreView"][];
            sentences: string[];
            /** Format: uuid */
            server_id: string;
            server_name: string;
            /** @enum {string|null} */
            spread: "SELF" | "PIX" | "PXB" | "PHB" | "NODE" | "SYS" | null;
            status: string;
            /** @enum {string} */
            view: "admin" | "project";
        };
        ExtraSpecBody: {
            value: string;
        };
        ExtraSpecsBody: {
            /**
             * @example {
             *       "hw:pci_numa_affinity_policy": "required",
             *       "pci_passthrough:alias": "gpu:1"
             *     }
             */
            extra_specs: {
                [key: string]: string;
            };
        };
        FaultView: {
            code: string;
            details: {
                [key: string]: unknown;
            };
            message: string;
        };
        FieldProblemView: {
            /** @example specs[0].vendor_id */
            field: string;
            problem: string;
        };
        FilterCountView: {
            /** @example PciPassthroughFilter */
            filter: string;
            host_count: number;
        };
        FindingView: {
            by: number[];
            entry: number;
            /** @enum {string} */
            kind: "dead" | "shadowed" | "unreachable";
            message: string;
        };
        FlavorBody: {
            description?: string;
            disk?: number;
            disk_gb?: number;
            ephemeral_gb?: number;
            /**
             * @example {
             *       "hw:pci_numa_affinity_policy": "required",
             *       "pci_passthrough:alias": "gpu:1"
             *     }
             */
            extra_specs?: {
                [key: string]: string;
            };
            id?: string;
            is_public?: boolean;
            /** @example m1.gpu */
            name: string;
            ram?: number;
            ram_mb?: number;
            swap_mb?: number;
            vcpus: number;
        };
        FlavorPageView: {
            flavors: components["schemas"]["CatalogFlavorView"][];
            next: string | null;
        };
        FlavorView: {
            disk_gb: number;
            ephemeral_gb: number;
            extra_specs: {
                [key: string]: string;
            };
            id: string;
            name: string;
            ram_mb: number;
            swap_mb: number;
            vcpus: number;
        };
        FragmentationView: {
            aliases: components["schemas"]["AliasFragmentationView"][];
            next: string | null;
        };
        GoalBody: {
            availability_zone?: string;
            count?: number;
            /** @enum {string} */
            cpu_policy?: "shared" | "dedicated";
            devices?: string | components["schemas"]["DeviceWishBody"][];
            disk_gb?: number;
            /** @example m1.gpu */
            flavor?: string;
            /**
             * @example {
             *       "hw_architecture": "x86_64",
             *       "hw_pci_numa_affinity_policy": "required"
             *     }
             */
            image_properties?: {
                [key: string]: string;
            };
            ports?: components["schemas"]["PortBody"][];
            preemptible?: boolean;
            priority?: number;
            ram_mb?: number;
            /** Format: uuid */
            reservation?: string;
            scheduler_hints?: components["schemas"]["SchedulerHintsBody"];
            /** @example gpu,nic within PXB; gpu same numa_node prefer */
            topology?: string;
            vcpus?: number;
        };
        GroupBlockerView: {
            address: string | null;
            reason: string;
            remedy: string;
        };
        GroupMemberView: {
            /** @example 0000:83:00.0 */
            address: string;
            bridge: boolean;
            class_code: string;
            /** @enum {string} */
            device_type: "type-PCI" | "type-PF" | "type-VF" | "vdpa";
            driver: string | null;
            offered: boolean;
            product_id: string;
            protection: string[];
            server: components["schemas"]["HolderView"] | null;
            /** @enum {string} */
            status: "available" | "claimed" | "allocated" | "unclaimable" | "unavailable" | "reserved" | "cleaning" | "failed" | "quarantined" | "removed";
            vendor_id: string;
        };
        HoldDevice: {
            /** @example fan is failing, see ticket 4711 */
            reason: string;
        };
        HolderView: {
            /** Format: uuid */
            id: string;
            name: string;
        };
        HostChangeBody: {
            allocation_ratios?: components["schemas"]["AllocationRatiosBody"] | null;
            disabled_reason?: string;
            enabled?: boolean;
            forced_down?: boolean;
            reserved?: components["schemas"]["ReservedBody"] | null;
            traits?: string[];
        };
        HostCountView: {
            count: number;
            host: string;
            host_id: string;
        };
        HostCoverageView: {
            decided: string[];
            decided_count: number;
            entry: number;
            matched: string[];
            matched_count: number;
        };
        HostFragmentationView: {
            free: number;
            host: string;
            unusable: number;
        };
        HostIommuView: {
            problem: string | null;
            remedy: string | null;
            /** @enum {string} */
            state: "on" | "off" | "none";
        };
        HostPageView: {
            hosts: components["schemas"]["HostView"][];
            next: string | null;
        };
        HostPreviewView: {
            added: components["schemas"]["OfferChangeView"][];
            added_count: number;
            changed: components["schemas"]["OfferChangeView"][];
            changed_count: number;
            devices: number;
            entries: components["schemas"]["HostCoverageView"][];
            entries_count: number;
            findings: components["schemas"]["FindingView"][];
            findings_count: number;
            host: string;
            /** Format: uuid */
            host_id: string;
            /** Format: date-time */
            last_seen_at: string;
            protected: components["schemas"]["OfferChangeView"][];
            protected_count: number;
            read_only: boolean;
            removed: components["schemas"]["OfferChangeView"][];
            removed_count: number;
            removed_held_count: number;
            /** @enum {string} */
            status: "up" | "down";
            uncertain: components["schemas"]["OfferChangeView"][];
            uncertain_count: number;
        };
        HostRejectionView: {
            /** @example PciPassthroughFilter */
            filter: string;
            host_count: number;
            hosts: string[];
            reasons: components["schemas"]["ReasonView"][];
        };
        HostScoreView: {
            host: string;
            parts: {
                [key: string]: {
                    normalized: number;
                    raw: number;
                    weighted: number;
                };
            };
            total: number;
        };
        HostTopologyView: {
            devices: components["schemas"]["TopologyDeviceView"][];
            distances: ("SELF" | "PIX" | "PXB" | "PHB" | "NODE" | "SYS")[][];
            generation: number;
            host: string;
            /** Format: uuid */
            host_id: string;
            left_out: number;
        };
        HostView: {
            agent_version: string;
            aggregates: string[];
            allocation_ratios: components["schemas"]["AllocationRatiosView"] | null;
            availability_zone: string;
            /** Format: date-time */
            booted_at: string | null;
            capabilities: components["schemas"]["CapabilitiesView"] | null;
            capacity: components["schemas"]["ResourcesView"];
            /** @example qemu */
            compute_driver: string | null;
            configuration: components["schemas"]["ConfigurationView"] | null;
            /** Format: date-time */
            created_at: string;
            devices: components["schemas"]["DeviceCountsView"];
            disabled_reason: string | null;
            enabled: boolean;
            failed_builds: number;
            forced_down: boolean;
            generation: number;
            /** Format: uuid */
            id: string;
            iommu: components["schemas"]["IommuView"] | null;
            ip_address: string | null;
            kernel: string | null;
            /** @enum {string} */
            kernel_kind: "live" | "simulated";
            /** Format: date-time */
            last_seen_at: string;
            name: string;
            numa_cells: components["schemas"]["NumaCellView"][];
            read_only: boolean;
            reserved: components["schemas"]["ResourcesView"] | null;
            simulated: boolean;
            /** @enum {string} */
            status: "up" | "down";
            traits: string[];
            used: components["schemas"]["ResourcesView"];
        };
        IommuGroupsView: {
            generation: number;
            groups: components["schemas"]["IommuGroupView"][];
            host: string;
            /** Format: uuid */
            host_id: string;
            iommu: components["schemas"]["HostIommuView"];
            left_out: number;
            ungrouped_count: number;
        };
        IommuGroupView: {
            blocker: components["schemas"]["GroupBlockerView"] | null;
            group: number;
            members: components["schemas"]["GroupMemberView"][];
            members_count: number;
            /** @enum {string} */
            state: "viable" | "protected" | "blocked" | "not_offered" | "bridges";
        };
        IommuView: {
            /** @enum {string} */
            state: "on" | "off" | "none";
            units: number;
        };
        LinkView: {
            /** @example 16.0 GT/s PCIe */
            current_speed: string | null;
            current_width: number | null;
            max_speed: string | null;
            max_width: number | null;
        };
        MoveView: {
            from_host: string;
            gives_back: string[];
            memory_mb: number;
            /** Format: uuid */
            server_id: string;
            server_name: string;
            takes: string[];
            to_host: string;
        };
        NamedReasonView: {
            details: {
                [key: string]: unknown;
            };
            host: string;
            message: string;
        };
        NeighbourhoodsView: {
            /** @example node 0 */
            numa_node: string;
            /** @example pci0000:20 */
            pcie_root: string;
            root_port: string;
            switch: string;
        };
        NumaCellView: {
            cpus: number;
            id: number;
            memory_mb: number;
            socket: number | null;
        };
        OfferChangeView: {
            /** @example 0000:83:00.0 */
            address: string;
            after: components["schemas"]["OfferView"] | null;
            before: components["schemas"]["OfferView"] | null;
            device_type: string;
            product_id: string;
            protection: string[];
            reason: string;
            server: components["schemas"]["HolderView"] | null;
            vendor_id: string;
        };
        OfferView: {
            entry: number;
            resource_class: string | null;
            tags: {
                [key: string]: string | null;
            };
            traits: string[];
        };
        OwnerView: {
            alias: string | null;
            port: string | null;
            /** Format: uuid */
            server_id: string;
            server_name: string;
        };
        PlacedDeviceView: {
            /** @example 0000:83:00.0 */
            address: string;
            alias: string | null;
            /** Format: uuid */
            id: string;
            request_index: number | null;
        };
        PlacedHostView: {
            /** Format: uuid */
            id: string;
            name: string;
        };
        PlacementAnswersView: {
            placements: components["schemas"]["PlacementAnswerView"][];
        };
        PlacementAnswerView: {
            /** @example placement.no_valid_host */
            code?: string;
            decision?: components["schemas"]["DecisionView"];
            devices?: components["schemas"]["PlacedDeviceView"][];
            host?: components["schemas"]["PlacedHostView"] | null;
            /** Format: uuid */
            id?: string;
            key: string | null;
            message?: string;
            /** @enum {string} */
            outcome: "placed" | "rejected";
            replayed?: boolean;
        };
        PlacementBody: {
            availability_zone?: string;
            /** @enum {string} */
            cpu_policy?: "shared" | "dedicated";
            devices?: string | components["schemas"]["DeviceWishBody"][];
            disk_gb?: number;
            /** @example m1.gpu */
            flavor?: string;
            /**
             * @example {
             *       "hw_architecture": "x86_64",
             *       "hw_pci_numa_affinity_policy": "required"
             *     }
             */
            image_properties?: {
                [key: string]: string;
            };
            /** @example pod-7f3c */
            key?: string;
            name?: string;
            ports?: components["schemas"]["PortBody"][];
            priority?: number;
            ram_mb?: number;
            /** Format: uuid */
            reservation?: string;
            scheduler_hints?: components["schemas"]["SchedulerHintsBody"];
            /** @example gpu,nic within PXB; gpu same numa_node prefer */
            topology?: string;
            vcpus?: number;
        };
        PlacementDecisionView: {
            class_size: number;
            /** Format: date-time */
            decided_at: string;
            first: components["schemas"]["DecisionView"];
            generation: number;
            host: string;
            score: number | null;
        };
        PlacementPageView: {
            next: string | null;
            placements: components["schemas"]["PlacementView"][];
        };
        PlacementsBody: {
            placements: components["schemas"]["PlacementBody"][];
        };
        PlacementView: {
            /** Format: date-time */
            created_at: string;
            devices: components["schemas"]["PlacedDeviceView"][];
            fault: {
                [key: string]: unknown;
            } | null;
            host: components["schemas"]["PlacedHostView"] | null;
            /** Format: uuid */
            id: string;
            key: string | null;
            name: string;
            project_id: string;
            /** @enum {string} */
            state: "preparing" | "ready" | "failed" | "releasing" | "released";
        };
        PlanCostView: {
            devices: number;
            memory_mb: number;
            moves: number;
        };
        PlannedServerView: {
            name: string;
            /** Format: uuid */
            server_id: string;
            /** @enum {string} */
            will: "move" | "needs_owner";
        };
        PoolPageView: {
            next: string | null;
            pools: components["schemas"]["PoolView"][];
        };
        PoolView: {
            free: number;
            host: string;
            key: {
                [key: string]: (string | number) | null;
            };
            simulated: boolean;
            total: number;
        };
        PortBody: {
            /** @example eth0 */
            name?: string;
            /** @enum {string} */
            numa_policy?: "required" | "preferred" | "legacy" | "socket";
            physical_network: string | null;
            trusted?: boolean;
            /** @enum {string} */
            vnic_type: "direct" | "direct-physical" | "macvtap" | "virtio-forwarder" | "vdpa" | "remote-managed";
        };
        PortView: {
            /** @example 0000:81:02.0 */
            address: string | null;
            binding_profile: components["schemas"]["BindingProfileView"] | null;
            /** Format: uuid */
            device_id: string | null;
            name: string;
            numa_policy: string;
            pf_address: string | null;
            physical_network: string | null;
            trusted: boolean | null;
            /** @enum {string} */
            vnic_type: "direct" | "direct-physical" | "macvtap" | "virtio-forwarder" | "vdpa" | "remote-managed";
        };
        PreemptionPreviewView: {
            host: string | null;
            least: boolean | null;
            message: string | null;
            /** @enum {string} */
            outcome: "fits" | "preempts" | "rejected";
            victims: components["schemas"]["VictimView"][];
        };
        PreviewBody: {
            /** @enum {string} */
            compat?: "strict" | "nova";
            /**
             * @example [
             *       {
             *         "product_id": "1bb0",
             *         "vendor_id": "10de"
             *       }
             *     ]
             */
            device_specs: {
                [key: string]: unknown;
            }[];
            free_tags?: string[];
            hosts?: string[];
            limit?: number;
            marker?: string;
        };
        PreviewView: {
            entries: components["schemas"]["CoverageView"][];
            findings: components["schemas"]["FindingView"][];
            hosts: components["schemas"]["HostPreviewView"][];
            next: string | null;
        };
        Problem: {
            /** @example alias.unknown */
            code: string;
            detail: string;
            errors?: components["schemas"]["FieldProblemView"][];
            /** @example 400 */
            status: number;
            /** @example No alias has this name. */
            title: string;
            /** @example urn:berth:problem:alias.unknown */
            type: string;
        };
        ProtectionReasonView: {
            /** @example default_route */
            code: string;
            remedy: string;
            /** @example carries the default route (bond0 → eth0 → 0000:01:00.0) */
            text: string;
        };
        ProtectionView: {
            overridden: boolean;
            reasons: components["schemas"]["ProtectionReasonView"][];
        };
        QueuedServerView: {
            name: string;
            nominated_host: string | null;
            position: number;
            priority: number;
            project_id: string;
            reason: string | null;
            /** Format: uuid */
            reservation_id: string | null;
            /** Format: uuid */
            server_id: string;
            /** Format: date-time */
            waiting_since: string;
        };
        QueuePageView: {
            next: string | null;
            servers: components["schemas"]["QueuedServerView"][];
        };
        QuotasBody: {
            /**
             * @example {
             *       "alias:gpu": 8,
             *       "class:10de:20b0": 4,
             *       "servers": 100
             *     }
             */
            limits: {
                [key: string]: number;
            };
        };
        QuotasChangeBody: {
            /**
             * @example {
             *       "alias:gpu": 8,
             *       "class:10de:20b0": 4,
             *       "servers": 100
             *     }
             */
            limits: {
                [key: string]: number | null;
            };
        };
        QuotasView: {
            hints: string[];
            project_id: string;
            quotas: components["schemas"]["QuotaView"][];
        };
        QuotaView: {
            default_limit: number | null;
            hard_limit: number;
            own_limit: number | null;
            /** @example alias:gpu */
            resource: string;
            used: number | null;
        };
        ReasonView: {
            /** @example device.all_in_use */
            code: string;
            details: {
                [key: string]: unknown;
            };
            message: string;
            named: components["schemas"]["NamedReasonView"][];
        };
        RecordedDecisionsView: {
            decisions: components["schemas"]["RecordedDecisionView"][];
        };
        RecordedDecisionView: {
            attempt: number;
            constraints: components["schemas"]["ConstraintOutcomeView"][];
            /** Format: date-time */
            created_at: string;
            devices: components["schemas"]["ChosenDeviceView"][];
            generation: number | null;
            host: string | null;
            /** Format: uuid */
            host_id: string | null;
            hosts_considered: number;
            /** Format: uuid */
            id: string;
            message: string | null;
            numa_cells: number[] | null;
            /** @enum {string} */
            outcome: "placed" | "rejected";
            rejections: components["schemas"]["HostRejectionView"][];
            scores: components["schemas"]["HostScoreView"][];
            /** @enum {string|null} */
            spread: "SELF" | "PIX" | "PXB" | "PHB" | "NODE" | "SYS" | null;
        };
        RecurrenceBody: {
            count?: number;
            /** @enum {string} */
            every: "day" | "week";
            /** Format: date-time */
            until?: string;
        };
        ReleaseAnswersView: {
            placements: components["schemas"]["ReleaseAnswerView"][];
        };
        ReleaseAnswerView: {
            /** Format: uuid */
            id: string;
            /** @enum {string} */
            outcome: "releasing" | "released" | "unknown";
        };
        ReleasedIdsBody: {
            ids: unknown | unknown[];
        };
        RequestedDevicesView: {
            alias: string | null;
            alias_version: number | null;
            count: number;
            count_max: number;
            numa_policy: string;
            port: string | null;
        };
        ReservationBody: {
            availability_zone?: string;
            count?: number;
            /** @enum {string} */
            cpu_policy?: "shared" | "dedicated";
            devices?: string | components["schemas"]["DeviceWishBody"][];
            disk_gb?: number;
            /**
             * Format: date-time
             * @example 2026-03-02T18:00:00+01:00
             */
            ends_at: string;
            /** @example m1.gpu */
            flavor?: string;
            /**
             * @example {
             *       "hw_architecture": "x86_64",
             *       "hw_pci_numa_affinity_policy": "required"
             *     }
             */
            image_properties?: {
                [key: string]: string;
            };
            /** @example training on Mondays */
            name: string;
            /** @enum {string} */
            on_end?: "keep" | "delete";
            ports?: components["schemas"]["PortBody"][];
            preemptible?: boolean;
            priority?: number;
            ram_mb?: number;
            recurrence?: components["schemas"]["RecurrenceBody"];
            scheduler_hints?: components["schemas"]["SchedulerHintsBody"];
            /**
             * Format: date-time
             * @example 2026-03-02T08:00:00+01:00
             */
            starts_at?: string;
            /** @example gpu,nic within PXB; gpu same numa_node prefer */
            topology?: string;
            vcpus?: number;
        };
        ReservationChangeBody: {
            /** Format: date-time */
            ends_at?: string;
            name?: string;
            /** @enum {string} */
            on_end?: "keep" | "delete";
        };
        ReservationEventView: {
            /** Format: date-time */
            created_at: string;
            event: string;
            message: string;
        };
        ReservationFaultView: {
            code: string;
            message: string;
        };
        ReservationPageView: {
            next: string | null;
            reservations: components["schemas"]["ReservationSummaryView"][];
        };
        ReservationRecurrenceView: {
            count: number | null;
            /** @enum {string} */
            every: "day" | "week";
            until: string | null;
        };
        ReservationSummaryView: {
            count: number;
            /** Format: date-time */
            created_at: string;
            /**
             * @example [
             *       "gpu:2"
             *     ]
             */
            devices_asked: string[];
            /** Format: date-time */
            ends_at: string;
            /** Format: uuid */
            id: string;
            name: string;
            /** @enum {string} */
            on_end: "keep" | "delete";
            project_id: string;
            recurrence: components["schemas"]["ReservationRecurrenceView"] | null;
            /** Format: date-time */
            starts_at: string;
            /** @enum {string} */
            status: "pending" | "active" | "ended" | "cancelled" | "degraded";
        };
        ReservationView: {
            count: number;
            /** Format: date-time */
            created_at: string;
            /**
             * @example [
             *       "gpu:2"
             *     ]
             */
            devices_asked: string[];
            /** Format: date-time */
            ends_at: string;
            events: components["schemas"]["ReservationEventView"][];
            /** Format: uuid */
            id: string;
            name: string;
            /** @enum {string} */
            on_end: "keep" | "delete";
            project_id: string;
            recurrence: components["schemas"]["ReservationRecurrenceView"] | null;
            /** Format: date-time */
            starts_at: string;
            /** @enum {string} */
            status: "pending" | "active" | "ended" | "cancelled" | "degraded";
            windows: components["schemas"]["ReservationWindowView"][];
        };
        ReservationWindowView: {
            devices: components["schemas"]["ReservedDeviceView"][];
            /** Format: date-time */
            ends_at: string;
            fault: components["schemas"]["ReservationFaultView"] | null;
            /** Format: date-time */
            starts_at: string;
            /** @enum {string} */
            status: "planned" | "kept" | "active" | "ended";
        };
        ReservedBody: {
            disk_gb: number;
            memory_mb: number;
            vcpus: number;
        };
        ReservedDeviceView: {
            /** @example 0000:83:00.0 */
            address: string | null;
            alias: string | null;
            host: string | null;
            /** Format: uuid */
            id: string;
            /** Format: uuid */
            in_use_by: string | null;
            server: number;
        };
        ResourcesView: {
            disk_gb: number;
            memory_mb: number;
            vcpus: number;
        };
        SchedulerHintsBody: {
            different_host?: unknown | unknown[];
            /** Format: uuid */
            group?: string;
            same_host?: unknown | unknown[];
        };
        ServerActionBody: {
            availability_zone?: string;
            flavor?: string;
            host?: string;
            reason?: string;
        };
        ServerBody: {
            availability_zone?: string;
            /** @enum {string} */
            cpu_policy?: "shared" | "dedicated";
            devices?: string | components["schemas"]["DeviceWishBody"][];
            disk_gb?: number;
            /** @example m1.gpu */
            flavor?: string;
            /**
             * @example {
             *       "hw_architecture": "x86_64",
             *       "hw_pci_numa_affinity_policy": "required"
             *     }
             */
            image_properties?: {
                [key: string]: string;
            };
            max_count?: number;
            min_count?: number;
            /** @example training-1 */
            name: string;
            ports?: components["schemas"]["PortBody"][];
            preemptible?: boolean;
            priority?: number;
            ram_mb?: number;
            /** Format: uuid */
            reservation?: string;
            scheduler_hints?: components["schemas"]["SchedulerHintsBody"];
            /** @example gpu,nic within PXB; gpu same numa_node prefer */
            topology?: string;
            vcpus?: number;
            wait?: boolean;
        };
        ServerDeviceView: {
            /** @example 0000:83:00.0 */
            address: string | null;
            alias: string | null;
            /** @example berth.dev/pci=0000:83:00.0 */
            cdi_device: string | null;
            companion: boolean;
            /** Format: uuid */
            device_id: string;
            device_type: string;
            /** @example vfio-pci */
            driver: string | null;
            iommu_group: number | null;
            libvirt_hostdev_xml: string | null;
            /** Format: date-time */
            missing_since: string | null;
            /** @example ens1f0 */
            netdev: string | null;
            numa_node: number | null;
            port: string | null;
            product_id: string;
            qemu_args: string[] | null;
            simulated: boolean;
            vendor_id: string;
            /** @example /dev/vfio/25 */
            vfio: string | null;
        };
        ServerEventView: {
            /** Format: date-time */
            created_at: string;
            event: string;
            message: string;
        };
        ServerGroupBody: {
            max_server_per_host?: number;
            /** @example database */
            name: string;
            /** @enum {string} */
            policy: "affinity" | "anti-affinity" | "soft-affinity" | "soft-anti-affinity";
        };
        ServerGroupMemberView: {
            host: string | null;
            /** Format: uuid */
            id: string;
            name: string;
            status: string;
        };
        ServerGroupPageView: {
            next: string | null;
            server_groups: components["schemas"]["ServerGroupSummaryView"][];
        };
        ServerGroupSummaryView: {
            /** Format: date-time */
            created_at: string;
            /** Format: uuid */
            id: string;
            max_server_per_host: number;
            member_count: number;
            name: string;
            /** @enum {string} */
            policy: "affinity" | "anti-affinity" | "soft-affinity" | "soft-anti-affinity";
            project_id: string;
            user_id: string;
        };
        ServerGroupView: {
            /** Format: date-time */
            created_at: string;
            /** Format: uuid */
            id: string;
            max_server_per_host: number;
            member_count: number;
            members: components["schemas"]["ServerGroupMemberView"][];
            name: string;
            /** @enum {string} */
            policy: "affinity" | "anti-affinity" | "soft-affinity" | "soft-anti-affinity";
            project_id: string;
            user_id: string;
        };
        ServerPageView: {
            next: string | null;
            servers: components["schemas"]["ServerSummaryView"][];
        };
        ServerSummaryView: {
            /** @enum {string|null} */
            action: "stop" | "start" | "reboot" | "reboot_hard" | "pause" | "unpause" | "suspend" | "resume" | "rebuild" | "unshelve" | "migrate" | "resize" | null;
            attempts: number;
            availability_zone: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: uuid */
            decision_id: string | null;
            disk_gb: number;
            fault: components["schemas"]["FaultView"] | null;
            flavor: components["schemas"]["FlavorView"] | null;
            host: string | null;
            /** Format: uuid */
            id: string;
            locked: boolean;
            locked_reason: string | null;
            name: string;
            numa_cells: number[] | null;
            preemptible: boolean;
            priority: number;
            project_id: string;
            ram_mb: number;
            requested_devices: components["schemas"]["RequestedDevicesView"][];
            /** Format: uuid */
            reservation_id: string | null;
            /** Format: uuid */
            server_group: string | null;
            simulated: boolean;
            /** @enum {string} */
            status: "BUILD" | "ACTIVE" | "SHELVED" | "ERROR" | "DELETING" | "DELETED";
            /** @enum {string|null} */
            task_state: "scheduling" | "preparing" | "releasing" | "waiting" | "attaching" | "detaching" | null;
            /** Format: date-time */
            updated_at: string;
            vcpus: number;
            /** @enum {string} */
            vm_state: "active" | "stopped" | "paused" | "suspended" | "error";
            wait: boolean;
            /** Format: date-time */
            waiting_since: string | null;
        };
        ServerView: {
            /** @enum {string|null} */
            action: "stop" | "start" | "reboot" | "reboot_hard" | "pause" | "unpause" | "suspend" | "resume" | "rebuild" | "unshelve" | "migrate" | "resize" | null;
            attempts: number;
            availability_zone: string | null;
            container: components["schemas"]["ContainerView"] | null;
            /** Format: date-time */
            created_at: string;
            /** Format: uuid */
            decision_id: string | null;
            devices: components["schemas"]["ServerDeviceView"][];
            disk_gb: number;
            events: components["schemas"]["ServerEventView"][];
            fault: components["schemas"]["FaultView"] | null;
            flavor: components["schemas"]["FlavorView"] | null;
            host: string | null;
            /** Format: uuid */
            id: string;
            locked: boolean;
            locked_reason: string | null;
            name: string;
            numa_cells: number[] | null;
            ports: components["schemas"]["PortView"][];
            preemptible: boolean;
            priority: number;
            project_id: string;
            queue_position: number | null;
            ram_mb: number;
            requested_devices: components["schemas"]["RequestedDevicesView"][];
            /** Format: uuid */
            reservation_id: string | null;
            /** Format: uuid */
            server_group: string | null;
            simulated: boolean;
            /** @enum {string} */
            status: "BUILD" | "ACTIVE" | "SHELVED" | "ERROR" | "DELETING" | "DELETED";
            /** @enum {string|null} */
            task_state: "scheduling" | "preparing" | "releasing" | "waiting" | "attaching" | "detaching" | null;
            /** Format: date-time */
            updated_at: string;
            vcpus: number;
            /** @enum {string} */
            vm_state: "active" | "stopped" | "paused" | "suspended" | "error";
            wait: boolean;
            /** Format: date-time */
            waiting_since: string | null;
        };
        ShapeView: {
            /** @example gpu:2, 8 vCPUs, 16384 MB, 40 GB */
            asks_for: string;
            servers: number;
        };
        SmallestChangesView: {
            changes: components["schemas"]["SmallestChangeView"][];
            complete: boolean;
            /** Format: date-time */
            computed_at: string;
            fits_now: boolean;
            fits_on: string | null;
            trials: number;
        };
        SmallestChangeView: {
            cost: number;
            equal_hosts: number | null;
            host: string | null;
            steps: components["schemas"]["ChangeStepView"][];
        };
        SriovBody: {
            autoprobe?: boolean;
            vf_count: number;
            /**
             * @example {
             *       "0": {
             *         "mac": "02:00:00:00:00:01"
             *       },
             *       "*": {
             *         "spoof_check": true,
             *         "trust": false
             *       },
             *       "0-3": {
             *         "vlan": 7
             *       }
             *     }
             */
            vfs?: {
                [key: string]: Record<string, never>;
            };
        };
        SriovListView: {
            host: string;
            pfs: components["schemas"]["SriovView"][];
        };
        SriovView: {
            address: string;
            driver: string | null;
            netdevs: string[];
            num_vfs: number;
            product_id: string;
            total_vfs: number;
            vendor_id: string;
            wanted: components["schemas"]["SriovWantedView"] | null;
        };
        SriovWantedView: {
            /** Format: date-time */
            asked_at: string | null;
            autoprobe: boolean | null;
            errno: string | null;
            message: string | null;
            /** @enum {string} */
            source: "ledger" | "file";
            /** @enum {string} */
            state: "applying" | "applied" | "refused";
            step: string | null;
            vf_count: number;
            vf_problems: components["schemas"]["VfProblemView"][];
            vfs: {
                [key: string]: Record<string, never>;
            } | null;
            where: string | null;
        };
        StayingView: {
            affinity: number;
            kept: number;
            not_settled: number;
            request_unknown: number;
        };
        StrandedCauseView: {
            /** @example vcpus.not_enough */
            code: string;
            count: number;
            device_type: string;
            example: string;
            host_count: number;
            hosts: string[];
            product_id: string;
            vendor_id: string;
        };
        TopologyDeviceView: {
            acs_redirect: boolean | null;
            /** @example 0000:23:00.0 */
            address: string;
            class_code: string;
            /** @enum {string} */
            device_type: "type-PCI" | "type-PF" | "type-VF" | "vdpa";
            neighbourhoods: components["schemas"]["NeighbourhoodsView"];
            numa_node: number | null;
            parent_address: string | null;
            product_id: string;
            vendor_id: string;
        };
        VfProblemView: {
            address: string | null;
            message: string;
            step: string;
            vf: number;
        };
        VictimView: {
            devices: string[];
            name: string;
            priority: number;
            project_id: string;
            /** Format: uuid */
            server_id: string;
        };
        WhatIfBody: {
            changes?: components["schemas"]["ChangeBody"][];
            requests: components["schemas"]["CopiesBody"][];
            whitelist?: components["schemas"]["WhitelistBody"];
        };
        WhatIfView: {
            hosts_after: number;
            hosts_before: number;
            requests: components["schemas"]["DifferenceView"][];
        };
        WhitelistBody: {
            /** @enum {string} */
            compat?: "strict" | "nova";
            device_specs: {
                [key: string]: unknown;
            }[];
            free_tags?: string[];
            hosts: string[];
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    listAggregates: {
        parameters: {
            query?: {
                limit?: number;
                marker?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AggregatePageView"];
                };
            };
        };
    };
    createAggregate: {
        parameters: {
            query?: never;
            header?: {
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AggregateBody"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AggregateView"];
                };
            };
        };
    };
    getAggregate: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                aggregate: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AggregateView"];
                };
            };
        };
    };
    deleteAggregate: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                aggregate: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    changeAggregate: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                aggregate: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AggregateChangeBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AggregateView"];
                };
            };
        };
    };
    addAggregateHost: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                aggregate: string;
                host: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AggregateView"];
                };
            };
        };
    };
    removeAggregateHost: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                aggregate: string;
                host: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    listAliases: {
        parameters: {
            query?: {
                limit?: number;
                marker?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AliasPageView"];
                };
            };
        };
    };
    createAlias: {
        parameters: {
            query?: never;
            header?: {
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AliasBody"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AliasView"];
                };
            };
        };
    };
    getAlias: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AliasView"];
                };
            };
        };
    };
    replaceAlias: {
        parameters: {
            query?: never;
            header?: {
                "If-Match"?: string;
            };
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AliasReplaceBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AliasView"];
                };
            };
        };
    };
    deleteAlias: {
        parameters: {
            query?: never;
            header?: {
                "If-Match"?: string;
            };
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    listAliasVersions: {
        parameters: {
            query?: {
                limit?: number;
                marker?: string;
            };
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AliasVersionPageView"];
                };
            };
        };
    };
    getAliasVersion: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
                version: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AliasVersionView"];
                };
            };
        };
    };
    reloadAliases: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AliasReloadView"];
                };
            };
        };
    };
    listAudit: {
        parameters: {
            query?: {
                device_id?: string;
                host?: string;
                limit?: number;
                marker?: string;
                server_id?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditPageView"];
                };
            };
        };
    };
    getAuditHead: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditHeadView"];
                };
            };
        };
    };
    listAvailabilityZones: {
        parameters: {
            query?: {
                limit?: number;
                marker?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AvailabilityZonePageView"];
                };
            };
        };
    };
    getCapacity: {
        parameters: {
            query?: {
                alias?: string;
                limit?: number;
                marker?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CapacityView"];
                };
            };
        };
    };
    planDefragmentation: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DefragmentationBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DefragmentationPlanView"];
                };
            };
        };
    };
    previewDeviceSpecs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PreviewBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PreviewView"];
                };
            };
        };
    };
    listDevices: {
        parameters: {
            query?: {
                alias?: string;
                device_type?: "type-PCI" | "type-PF" | "type-VF" | "vdpa";
                host?: string;
                iommu_group?: number;
                limit?: number;
                marker?: string;
                numa_node?: number;
                offered?: boolean;
                product_id?: string;
                server_id?: string;
                status?: "available" | "claimed" | "allocated" | "unclaimable" | "unavailable" | "reserved" | "cleaning" | "failed" | "quarantined" | "removed";
                vendor_id?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DevicePageView"];
                };
            };
        };
    };
    getDevice: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeviceView"];
                };
            };
        };
    };
    quarantineDevice: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["HoldDevice"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeviceView"];
                };
            };
        };
    };
    repairDevice: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeviceView"];
                };
            };
        };
    };
    reserveDevice: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["HoldDevice"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeviceView"];
                };
            };
        };
    };
    unreserveDevice: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeviceView"];
                };
            };
        };
    };
    listFlavors: {
        parameters: {
            query?: {
                limit?: number;
                marker?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FlavorPageView"];
                };
            };
        };
    };
    createFlavor: {
        parameters: {
            query?: never;
            header?: {
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["FlavorBody"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CatalogFlavorView"];
                };
            };
        };
    };
    getFlavor: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CatalogFlavorView"];
                };
            };
        };
    };
    deleteFlavor: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    replaceExtraSpecs: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ExtraSpecsBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ExtraSpecsBody"];
                };
            };
        };
    };
    deleteExtraSpecs: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    setExtraSpec: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
                key: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ExtraSpecBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ExtraSpecsBody"];
                };
            };
        };
    };
    deleteExtraSpec: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
                key: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getFragmentation: {
        parameters: {
            query?: {
                alias?: string;
                limit?: number;
                marker?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FragmentationView"];
                };
            };
        };
    };
    listHosts: {
        parameters: {
            query?: {
                aggregate?: string;
                limit?: number;
                marker?: string;
                status?: "up" | "down";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HostPageView"];
                };
            };
        };
    };
    getHost: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                host: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HostView"];
                };
            };
        };
    };
    removeHost: {
        parameters: {
            query?: {
                force?: boolean;
            };
            header?: never;
            path: {
                host: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    changeHost: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                host: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["HostChangeBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HostView"];
                };
            };
        };
    };
    listDeviceClaims: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                host: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeviceClaimListView"];
                };
            };
        };
    };
    createDeviceClaim: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                host: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DeviceClaimBody"];
            };
        };
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeviceClaimView"];
                };
            };
        };
    };
    getDeviceClaim: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                claim: string;
                host: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeviceClaimView"];
                };
            };
        };
    };
    deleteDeviceClaim: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                claim: string;
                host: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeviceClaimView"];
                };
            };
        };
    };
    previewDeviceClaim: {
        parameters: {
            query?: {
                address?: string;
            };
            header?: never;
            path: {
                host: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeviceClaimPreviewView"];
                };
            };
        };
    };
    evacuateHost: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                host: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EvacuateBody"];
            };
        };
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EvacuationPlanView"];
                };
            };
        };
    };
    getEvacuation: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                host: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EvacuationView"];
                };
            };
        };
    };
    listIommuGroups: {
        parameters: {
            query?: {
                group?: number;
                state?: "viable" | "protected" | "blocked" | "not_offered" | "bridges";
            };
            header?: never;
            path: {
                host: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["IommuGroupsView"];
                };
            };
        };
    };
    reloadHost: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                host: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HostView"];
                };
            };
        };
    };
    listSriov: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                host: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SriovListView"];
                };
            };
        };
    };
    setSriov: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                address: string;
                host: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SriovBody"];
            };
        };
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SriovView"];
                };
            };
        };
    };
    forgetSriov: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                address: string;
                host: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getHostTopology: {
        parameters: {
            query?: {
                address?: string;
                product_id?: string;
                vendor_id?: string;
            };
            header?: never;
            path: {
                host: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HostTopologyView"];
                };
            };
        };
    };
    listPlacements: {
        parameters: {
            query?: {
                host?: string;
                limit?: number;
                marker?: string;
                project_id?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlacementPageView"];
                };
            };
        };
    };
    createPlacements: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PlacementsBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlacementAnswersView"];
                };
            };
        };
    };
    deletePlacements: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ReleasedIdsBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReleaseAnswersView"];
                };
            };
        };
    };
    getPlacement: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlacementView"];
                };
            };
        };
    };
    deletePlacement: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReleaseAnswerView"];
                };
            };
        };
    };
    getPlacementDecision: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlacementDecisionView"];
                };
            };
        };
    };
    dryRunPlacement: {
        parameters: {
            query?: {
                changes?: boolean;
                view?: "admin" | "project";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CopiesBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DryRunView"];
                };
            };
        };
    };
    previewPreemption: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DryRunBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PreemptionPreviewView"];
                };
            };
        };
    };
    whatIf: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WhatIfBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WhatIfView"];
                };
            };
        };
    };
    listPools: {
        parameters: {
            query?: {
                host?: string;
                limit?: number;
                marker?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PoolPageView"];
                };
            };
        };
    };
    listQueue: {
        parameters: {
            query?: {
                limit?: number;
                marker?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["QueuePageView"];
                };
            };
        };
    };
    getQuotas: {
        parameters: {
            query?: {
                project_id?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["QuotasView"];
                };
            };
        };
    };
    setQuotas: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                project_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["QuotasBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["QuotasView"];
                };
            };
        };
    };
    deleteQuotas: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                project_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    changeQuotas: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                project_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["QuotasChangeBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["QuotasView"];
                };
            };
        };
    };
    listReservations: {
        parameters: {
            query?: {
                limit?: number;
                marker?: string;
                status?: "pending" | "active" | "ended" | "cancelled" | "degraded";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReservationPageView"];
                };
            };
        };
    };
    createReservation: {
        parameters: {
            query?: never;
            header?: {
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ReservationBody"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReservationView"];
                };
            };
        };
    };
    getReservation: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReservationView"];
                };
            };
        };
    };
    cancelReservation: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    changeReservation: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ReservationChangeBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReservationView"];
                };
            };
        };
    };
    listServerGroups: {
        parameters: {
            query?: {
                limit?: number;
                marker?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServerGroupPageView"];
                };
            };
        };
    };
    createServerGroup: {
        parameters: {
            query?: never;
            header?: {
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ServerGroupBody"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServerGroupView"];
                };
            };
        };
    };
    getServerGroup: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServerGroupView"];
                };
            };
        };
    };
    deleteServerGroup: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    listServers: {
        parameters: {
            query?: {
                host?: string;
                limit?: number;
                marker?: string;
                name?: string;
                project_id?: string;
                status?: "BUILD" | "ACTIVE" | "SHELVED" | "ERROR" | "DELETING";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServerPageView"];
                };
            };
        };
    };
    createServer: {
        parameters: {
            query?: never;
            header?: {
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ServerBody"];
            };
        };
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedServerView"];
                };
            };
        };
    };
    getServer: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServerView"];
                };
            };
        };
    };
    deleteServer: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    actOnServer: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                action: "stop" | "start" | "reboot" | "reboot_hard" | "pause" | "unpause" | "suspend" | "resume" | "rebuild" | "lock" | "unlock" | "shelve" | "unshelve" | "evacuate" | "migrate" | "resize";
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ServerActionBody"];
            };
        };
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServerView"];
                };
            };
        };
    };
    listDecisions: {
        parameters: {
            query?: {
                view?: "admin" | "project";
            };
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RecordedDecisionsView"];
                };
            };
        };
    };
    attachDevices: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AttachBody"];
            };
        };
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServerView"];
                };
            };
        };
    };
    detachDevice: {
        parameters: {
            query?: {
                force?: boolean;
            };
            header?: never;
            path: {
                device_id: string;
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DetachView"];
                };
            };
        };
    };
    explainServer: {
        parameters: {
            query?: {
                changes?: boolean;
                view?: "admin" | "project";
            };
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ExplanationView"];
                };
            };
        };
    };
}
