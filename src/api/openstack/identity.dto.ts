import { ApiProperty } from '@nestjs/swagger';
import { Equals, IsArray } from 'class-validator';
import { NestedField, WordyField } from './fields.js';

const PASSWORD_MAX = 4096;

class Named {
  @WordyField() id?: string;
  @WordyField() name?: string;
}

class NamedInDomain extends Named {
  @NestedField(() => Named, { optional: true }) domain?: Named;
}

class UserWithPassword extends NamedInDomain {
  @WordyField(PASSWORD_MAX) password?: string;
}

class PasswordMethod {
  @NestedField(() => UserWithPassword) user: UserWithPassword;
}

class IdentityPart {
  @ApiProperty({ type: [String], example: ['password'] })
  @IsArray({ message: 'has to be a list' })
  @Equals('password', { each: true, message: 'password is the only method there is' })
  methods: string[];

  @NestedField(() => PasswordMethod) password: PasswordMethod;
}

class ScopePart {
  @NestedField(() => NamedInDomain) project: NamedInDomain;
}

class AuthPart {
  @NestedField(() => IdentityPart) identity: IdentityPart;
  @NestedField(() => ScopePart, { optional: true }) scope?: ScopePart;
}

/** Keystone's question for a token, as clients with password authentication put it. */
export class AuthBody {
  @NestedField(() => AuthPart) auth: AuthPart;
}
